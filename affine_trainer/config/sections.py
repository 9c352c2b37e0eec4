"""config.yaml as types: one frozen model a section, a range for every number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from affine_trainer.config.complaints import Complaint, complaint, refuse_complaints
from affine_trainer.config.data_sections import BUILT_IN, DataConfig
from affine_trainer.config.rl import RLConfig
from affine_trainer.config.section import Rounds, Schedule, Section

RUN_NAME, LONGEST_RUN_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$", 100


def is_run_name(text: str) -> bool:
    """Whether a run can have this name."""
    return len(text) <= LONGEST_RUN_NAME and re.fullmatch(RUN_NAME, text) is not None


class ModelConfig(Section):
    """Which model is trained, and the lengths it works with (in tokens)."""

    name: str = Field(default="nano", min_length=1, description="nano, a local folder, or a hub id")
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    attn_implementation: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    trust_remote_code: bool = False
    max_prompt_tokens: int = Field(default=768, ge=16, le=131072)
    max_new_tokens: int = Field(default=160, ge=1, le=65536)
    max_episode_tokens: int = Field(
        default=1024, ge=32, le=1_048_576, description="of all turns of an interactive episode"
    )


class TrainingConfig(Section):
    """Supervised fine-tuning."""

    use_lora: bool = False
    lora_r: int = Field(default=32, ge=1, le=1024)
    lora_alpha: int = Field(default=64, ge=1, le=4096)
    lora_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    lora_target_modules: tuple[str, ...] = Field(
        default=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), min_length=1
    )
    num_epochs: int = Field(default=2, ge=1, le=1000)
    batch_size: int = Field(default=32, ge=1, le=4096)
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=4096)
    learning_rate: float = Field(default=1.5e-3, gt=0.0, le=1.0)
    warmup_steps: int = Field(default=20, ge=0, le=1_000_000)
    lr_schedule: Schedule = "cosine"
    min_lr_ratio: float = Field(default=0.1, ge=0.0, le=1.0)
    weight_decay: float = Field(default=0.01, ge=0.0, le=1.0)
    max_grad_norm: float = Field(default=1.0, gt=0.0, le=1000.0)
    bf16: bool = False
    gradient_checkpointing: bool = False
    logging_steps: int = Field(default=10, ge=1, le=1_000_000)
    eval_steps: int = Field(default=50, ge=1, le=1_000_000)
    save_total_limit: int = Field(default=3, ge=1, le=1000)


class EvaluationConfig(Section):
    """The fixed tasks every model meets, and how it is asked."""

    num_samples: int = Field(default=1000, ge=1, le=1_000_000, description="tasks an environment")
    unseen_family_samples: int = Field(
        default=200, ge=0, le=1_000_000, description="tasks of program families never trained on"
    )
    agent_samples: int = Field(
        default=200, ge=1, le=1_000_000, description="tasks an interactive environment"
    )
    max_rounds: Rounds | Literal["agentgym"] = Field(
        default=10, description="of an interactive episode; agentgym: as many as its own evaluation gives"
    )
    task_seed: int = Field(default=0, ge=0, le=2**31 - 1)
    batch_size: int = Field(default=128, ge=1, le=65536)
    samples_per_task: int = Field(
        default=1, ge=1, le=1024, description="plays of a task, each with a seed of its own, for pass@k"
    )
    temperature: float | None = Field(default=None, ge=0.0, le=5.0, description="null: that of the rules")
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    rules: Literal["affine-2025-09", "affine-2025-10", "affine-2025-11", "affine-2025-11-exact"] = (
        "affine-2025-11"
    )


class EndpointConfig(Section):
    """A served model to evaluate, and what its server is asked to bear; times are in seconds."""

    url: str | None = Field(default=None, min_length=1, description="of an OpenAI-compatible server")
    model: str | None = Field(default=None, min_length=1, description="the name that it is served under")
    key_variable: str = Field(
        default="AFFINE_ENDPOINT_KEY",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        max_length=100,
        description="environment variable that holds the key",
    )
    concurrency: int = Field(default=32, ge=1, le=4096, description="requests at the same time")
    requests_per_minute: float | None = Field(default=None, gt=0.0, le=10_000_000.0)
    connect_timeout: float = Field(default=10.0, gt=0.0, le=600.0)
    timeout: float = Field(default=600.0, gt=0.0, le=86_400.0, description="for one answer")
    retries: int = Field(default=8, ge=0, le=100, description="after a failure that may pass")
    backoff: float = Field(default=0.5, ge=0.0, le=600.0, description="the first pause; each next doubles")
    longest_pause: float = Field(default=30.0, ge=0.0, le=3600.0, description="the pauses stop doubling here")
    longest_wait: float = Field(
        default=300.0, ge=0.0, le=86_400.0, description="a Retry-After up to this is waited for"
    )
    max_failures: int = Field(
        default=20, ge=1, le=1_000_000, description="failed requests in a row that stop the evaluation"
    )

    def complaints(self) -> Iterator[Complaint]:
        if (self.url is None) != (self.model is None):
            given, missing = ("url", "model") if self.model is None else ("model", "url")
            message = f"{given} needs {missing} as well (--endpoint URL --served-model NAME)"
            yield complaint("url model", message)


class SamplingConfig(Section):
    """Statistics of the report: level of the intervals and prior of the Beta posterior."""

    confidence_level: float = Field(default=0.80, gt=0.0, lt=1.0)
    beta_prior_alpha: float = Field(default=0.5, gt=0.0, le=100.0)
    beta_prior_beta: float = Field(default=0.5, gt=0.0, le=100.0)
    bootstrap_samples: int = Field(default=10_000, ge=100, le=10_000_000)
    epsilon: float = Field(default=0.01, ge=0.0, lt=1.0, description="a smaller difference counts as none")
    decision_probability: float = Field(
        default=0.9, gt=0.5, lt=1.0, description="posterior needed for a verdict"
    )


class TrackingConfig(Section):
    """Where events go besides the run's own events.jsonl."""

    use_wandb: bool = False
    wandb_project: str = Field(default="affine", min_length=1)
    wandb_entity: str | None = None
    wandb_mode: Literal["online", "offline"] = "online"
    wandb_artifacts: bool = Field(default=False, description="models and evaluations as W&B artifacts too")
    wandb_timeout: float = Field(
        default=60.0, gt=0.0, le=3600.0, description="seconds that W&B may take to start, and to finish"
    )
    use_tensorboard: bool = False
    sample_frequency: int = Field(
        default=6, ge=0, le=1_000_000, description="RL iterations between samples of episodes; 0 keeps none"
    )
    num_samples: int = Field(default=16, ge=1, le=1000, description="episodes of one such sample")
    keep_tokens: int = Field(
        default=2, ge=0, le=1000, description="last RL iterations whose token ids are kept"
    )


class SandboxConfig(Section):
    """Limits of one run of a model-written program."""

    workers: int | None = Field(default=None, ge=1, le=1024, description="null: one for each usable core")
    cpu_seconds: float = Field(default=1.0, gt=0.0, le=600.0)
    wall_seconds: float = Field(default=30.0, gt=0.0, le=3600.0)
    memory_mib: int = Field(default=512, ge=32, le=65536)
    output_bytes: int = Field(default=1_000_000, ge=1024, le=1_000_000_000)
    allow_unsandboxed: bool = Field(default=False, description="run programs even where none can be isolated")


class Config(Section):
    """The whole file."""

    run: str = Field(default="default", pattern=RUN_NAME, max_length=LONGEST_RUN_NAME)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    rl_training: RLConfig = RLConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    endpoint: EndpointConfig = EndpointConfig()
    sampling: SamplingConfig = SamplingConfig()
    tracking: TrackingConfig = TrackingConfig()
    sandbox: SandboxConfig = SandboxConfig()

    @model_validator(mode="after")
    def _keys_fit_together(self) -> Config:
        refuse_complaints(self)
        return self

    def complaints(self) -> Iterator[Complaint]:
        yield from self._states()
        yield from self._curriculum()
        yield from self._practice()

    def _states(self) -> Iterator[Complaint]:
        """What is valued by fresh continuations must be able to go back."""
        served = [n for n in self.data.agentgym.environments if n in self.data.agentgym.base_urls]
        if self.rl_training.advantage == "vine" and served:
            yield complaint(
                "rl_training.advantage data.agentgym.base_urls data.agentgym.environments",
                "rl_training.advantage: vine puts environments back into earlier states, "
                "which a server cannot do; take "
                f"{', '.join(served)} out of data.agentgym.base_urls or data.agentgym.environments",
            )

    def _curriculum(self) -> Iterator[Complaint]:
        rl, most = self.rl_training, self.data.agentgym.max_rounds
        limited = rl.enable_curriculum and "rounds" in rl.curriculum_limits
        if limited and self.data.agentgym.environments and rl.final_max_steps > most:
            yield complaint(
                "rl_training.final_max_steps data.agentgym.max_rounds",
                f"rl_training.final_max_steps ({rl.final_max_steps}) is more than data.agentgym.max_rounds "
                f"({most}), where every episode to learn from ends; change one of them",
            )

    def _practice(self) -> Iterator[Complaint]:
        """Something has a share of RL's practice, and no share is of something that is not there."""
        names, weights, own = self.data.environment_names, self.rl_training.weights, self.data.custom
        known = (*BUILT_IN, *own.environments)
        for name in weights:
            if name not in known:
                yield complaint(
                    f"rl_training.weights.{name} data.custom.environments",
                    f"rl_training.weights.{name}: unknown key; "
                    f"there are {', '.join(known[:-1])} or {known[-1]}",
                )
        if not weights and (unweighted := [name for name in own.weights if not own.weights[name]]):
            yield complaint(
                "rl_training.weights data.custom.weights",
                f"rl_training.weights needs a number above 0 for {', '.join(unweighted)}, "
                "whose share of data is 0",
            )
        if weights and not any(weights.get(name) for name in names):
            yield complaint(
                "rl_training.weights data.affine.environments data.agentgym.environments "
                "data.custom.environments",
                f"rl_training.weights leaves nothing to practise: give one of {', '.join(names)} a number "
                "above 0, or {} for the shares of data",
            )
