"""The section `rl_training`: what is practised, how episodes become advantages, and how the policy steps."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from affine_trainer.config.complaints import Complaint, complaint
from affine_trainer.config.section import Rounds, Section, Weight

RLSchedule = Literal["constant", "linear", "cosine", "power", "steps"]


class RLConfig(Section):
    """`num_rollouts` iterations of `rollout_batch_size` episodes, `ppo_epochs` passes over each."""

    algorithm: Literal["ppo", "reinforce", "grpo"] = "ppo"
    num_rollouts: int = Field(default=36, ge=1, le=1_000_000)
    rollout_batch_size: int = Field(default=256, ge=2, le=65536)
    samples_per_task: int = Field(default=4, ge=1, le=4096, description="episodes of a task side by side")
    oversampling: float = Field(
        default=2.0,
        ge=1.0,
        le=64.0,
        description="times the batch that is played, to learn from the best part",
    )
    weights: dict[str, Weight] = Field(
        default={
            **{"sat": 10, "abd": 6, "ded": 10},
            **{"babyai": 0.2, "sciworld": 0.05, "textcraft": 0.15, "alfworld": 0.15, "webshop": 0.05},
        },
        description="shares of the tasks that are practised; 0 or left out: not practised, but evaluated; "
        "none given: those of data",
    )
    mini_batch_size: int = Field(default=64, ge=1, le=65536, description="episodes an optimiser step")
    micro_batch_size: int = Field(default=64, ge=1, le=65536, description="episodes a forward pass")
    ppo_epochs: int = Field(default=2, ge=1, le=100)
    clip_range: float = Field(default=0.2, gt=0.0, lt=1.0)
    clip_range_value: float = Field(default=0.2, gt=0.0, le=1000.0)
    vf_coef: float = Field(default=0.005, ge=0.0, le=100.0)
    entropy_coef: float = Field(default=0.001, ge=0.0, le=10.0)
    entropy_schedule: RLSchedule | Literal["decay"] = "decay"
    entropy_decay: float = Field(default=0.9995, gt=0.0, le=1.0, description="factor an optimiser step")
    entropy_floor: float = Field(default=0.0005, ge=0.0, le=10.0, description="where any schedule ends")
    kl_coef: float = Field(default=0.1, ge=0.0, le=100.0, description="0 leaves the reference model out")
    kl_schedule: RLSchedule = "constant"
    final_kl_coef: float = Field(default=0.0, ge=0.0, le=100.0, description="where kl_schedule ends")
    kl_warmup_steps: int = Field(default=0, ge=0, le=1_000_000, description="optimiser steps")
    gamma: float = Field(default=0.99, ge=0.0, le=1.0)
    gae_lambda: float = Field(default=0.95, ge=0.0, le=1.0)
    gae_level: Literal["turn", "token"] = "turn"
    advantage: Literal["gae", "group", "baseline", "vine"] = Field(
        default="group",
        description="against the critic, the task's other episodes, a number a turn, or fresh continuations",
    )
    vine_rollouts: int = Field(default=9, ge=1, le=1024, description="continuations of a state")
    vine_max_states: int = Field(default=8, ge=1, le=4096, description="an episode; more are merged")
    vine_batch_size: int = Field(default=256, ge=1, le=65536, description="continuations played together")
    adaptive_rollouts: Literal["fixed", "adaptive", "adaptive_mle"] = Field(
        default="fixed", description="always as many continuations, or until the success rate is known"
    )
    min_rollouts: int = Field(default=4, ge=1, le=1024, description="and between looks; adaptive only")
    max_rollouts: int = Field(default=16, ge=1, le=1024, description="adaptive only")
    target_ci_width: float = Field(default=0.5, gt=0.0, le=1.0, description="of the rate's interval")
    ci_method: Literal["wilson", "jeffreys"] = "wilson"
    ci_level: float = Field(default=0.95, gt=0.0, lt=1.0)
    allow_full_rollouts: bool = Field(default=False, description="run a plan that can never stop early")
    normalize_advantages: Literal["batch", "ema", "scale", "none"] = "scale"
    advantage_ema_decay: float = Field(default=0.99, ge=0.0, lt=1.0, description="an iteration")
    advantage_ema_center: bool = Field(default=False, description="ema takes the running mean off too")
    learning_rate: float = Field(default=5e-5, gt=0.0, le=1.0)
    critic_learning_rate: float = Field(default=1e-3, gt=0.0, le=1.0)
    critic_hidden_size: int = Field(default=256, ge=1, le=65536)
    lr_schedule: RLSchedule = "cosine"
    min_lr_ratio: float = Field(default=0.1, ge=0.0, le=1.0)
    warmup_steps: int = Field(default=20, ge=0, le=1_000_000, description="optimiser steps")
    schedule_power: float = Field(default=2.0, gt=0.0, le=10.0, description="exponent of schedules: power")
    schedule_stages: int = Field(default=4, ge=2, le=1000, description="stages of schedules: steps")
    weight_decay: float = Field(default=0.0, ge=0.0, le=1.0)
    max_grad_norm: float = Field(default=1.0, gt=0.0, le=1000.0)
    enable_curriculum: bool = False
    initial_max_steps: Rounds = Field(default=4, description="the curriculum's limit at the start, in rounds")
    final_max_steps: Rounds = Field(default=10, description="the limit at the end; there every task is open")
    curriculum_limits: tuple[Literal["difficulty", "rounds"], ...] = Field(
        default=("difficulty", "rounds"), min_length=1, description="what the limit acts on"
    )
    curriculum_schedule: Literal["linear", "power", "steps", "gate"] = "linear"
    curriculum_until: float = Field(
        default=0.75, gt=0.0, le=1.0, description="share of the iterations at whose end the limit is final"
    )
    curriculum_gate: float = Field(
        default=0.5, gt=0.0, lt=1.0, description="lower bound of recent success that opens the next stage"
    )
    curriculum_window: int = Field(
        default=4, ge=1, le=1000, description="an environment's last iterations that count as recent"
    )
    curriculum_rehearsal: float = Field(
        default=0.2, ge=0.0, le=1.0, description="least share of draws for tasks open from the start"
    )
    reward_shaping: Literal["potential", "guide", "none"] = "potential"
    reward_function: str | None = Field(
        default=None, min_length=1, description="path/to/file.py:function that pays an episode instead"
    )
    temperature: float = Field(default=0.7, gt=0.0, le=5.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    validation_frequency: int = Field(
        default=12, ge=1, le=1_000_000, description="iterations between validations"
    )
    validation_temperature: float | None = Field(
        default=None, ge=0.0, le=5.0, description="of its replies; none: as practised, 0: greedy"
    )
    validation_samples: int = Field(default=384, ge=1, le=1_000_000)
    patience: int = Field(
        default=10, ge=1, le=1_000_000, description="validations without improvement before stopping"
    )
    min_improvement: float = Field(default=0.001, ge=0.0, le=1.0)
    save_frequency: int = Field(default=10, ge=1, le=1_000_000, description="iterations between checkpoints")
    save_total_limit: int = Field(default=2, ge=1, le=1000)

    def complaints(self) -> Iterator[Complaint]:
        yield from self._batches()
        yield from self._ranges()
        yield from self._advantages()
        yield from self._algorithms()

    def _batches(self) -> Iterator[Complaint]:
        steps = ("rollout_batch_size", "mini_batch_size", "micro_batch_size", "samples_per_task")
        for larger, smaller in itertools.pairwise(steps):
            most, part = getattr(self, larger), getattr(self, smaller)
            if most % part:
                why = ", whose prompt the model reads once" if smaller == "samples_per_task" else ""
                yield complaint(
                    f"{larger} {smaller}", f"{larger} ({most}) must be a multiple of {smaller} ({part}){why}"
                )

    def _ranges(self) -> Iterator[Complaint]:
        for low, high in (("initial_max_steps", "final_max_steps"), ("min_rollouts", "max_rollouts")):
            least, most = getattr(self, low), getattr(self, high)
            if least > most:
                yield complaint(f"{low} {high}", f"{low} ({least}) must be at most {high} ({most})")

    def _advantages(self) -> Iterator[Complaint]:
        if self.advantage == "group" and self.samples_per_task < 2:
            yield complaint(
                "advantage samples_per_task",
                "advantage: group compares a task's episodes; give samples_per_task at least 2",
            )
        if self.advantage == "vine" and self.gae_level == "token" and self.gamma < 1.0:
            yield complaint(
                "advantage gae_level gamma",
                "advantage: vine discounts by turns, for its steps lie inside them; set gae_level to turn, "
                "or gamma to 1",
            )
        if self.oversampling > 1.0 and self.advantage != "group":
            yield complaint(
                "oversampling advantage",
                "oversampling picks tasks whose episodes differ, for advantage: group; set it to 1",
            )
        if self.advantage in ("gae", "baseline") and self.vf_coef == 0.0:
            yield complaint(
                "advantage vf_coef",
                f"advantage: {self.advantage} needs a critic that learns; set vf_coef above 0, as in 0.5",
            )

    def _algorithms(self) -> Iterator[Complaint]:
        if self.algorithm == "reinforce" and self.ppo_epochs > 1:
            yield complaint(
                "algorithm ppo_epochs",
                "algorithm: reinforce learns from each episode once, with the policy that sampled it; "
                f"set ppo_epochs to 1 (it is {self.ppo_epochs})",
            )
        if self.algorithm == "grpo" and self.advantage != "group":
            yield complaint(
                "algorithm advantage",
                "algorithm: grpo compares a task's episodes; set advantage to group",
            )
