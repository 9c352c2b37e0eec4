"""Small PPO runs on toy tasks, for the tests: a trainer, its rollouts, and what it reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from affine_trainer.config import Config, ModelConfig, RLConfig, TrainingConfig
from affine_trainer.learning.curriculum import Curriculum
from affine_trainer.learning.diagnostics import PhaseClock
from affine_trainer.learning.ppo_loop import RunHooks
from affine_trainer.learning.rollouts import Rollouts, summarise
from affine_trainer.learning.task_mix import TaskMix
from affine_trainer.learning.trl_ppo import PPOTrainer
from affine_trainer.policies.hf import HFPolicy, decode_text
from affine_trainer.records import Episode
from tests.learning.toy import RepeatDigits
from tests.tiny_model import tiny_tokenizer

SMALL = {
    "num_rollouts": 2,
    "rollout_batch_size": 16,
    "mini_batch_size": 8,
    "micro_batch_size": 4,
    "kl_coef": 0.0,
    "validation_samples": 32,
    "validation_temperature": 0.0,
    "validation_frequency": 100,
    "save_frequency": 100,
    "warmup_steps": 0,
    "advantage": "gae",
    "normalize_advantages": "batch",
    "oversampling": 1.0,
    "vf_coef": 0.5,
    "entropy_coef": 0.003,
    "entropy_floor": 0.001,
    "temperature": 1.0,
}


def small_config(*, use_lora: bool = False, max_new_tokens: int = 3, **rl: Any) -> Config:
    return Config(
        model=ModelConfig(max_new_tokens=max_new_tokens),
        training=TrainingConfig(use_lora=use_lora, lora_r=4, lora_alpha=8),
        rl_training=RLConfig(**(SMALL | rl)),
    )


@dataclass
class ToyRun:
    """A trainer on a toy task set; `episodes`, `validations` and `reports` fill while it trains."""

    model: PreTrainedModel
    config: Config
    output_dir: Path
    num_turns: int = 1
    episodes: dict[int, list[Episode]] = field(default_factory=dict)
    validations: dict[int, float] = field(default_factory=dict)
    reports: dict[int, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        task_set, clock, rl = RepeatDigits(self.num_turns), PhaseClock(), self.config.rl_training
        indices = task_set.indices("train", 999, 0)
        self.curriculum = None
        if rl.enable_curriculum:
            difficulties = {task.index: task.difficulty for task in task_set.tasks(indices)}
            self.curriculum = Curriculum(rl, {"toy": difficulties}, seed=0)
        parts = {"curriculum": self.curriculum} if self.curriculum else {}
        self.trainer = PPOTrainer(
            self.model,
            tiny_tokenizer(),
            self.config,
            output_dir=self.output_dir,
            hooks=RunHooks(self.collect, self.validate, self.reports.__setitem__, parts),
            clock=clock,
        )
        policy = HFPolicy(self.trainer.policy_model, tiny_tokenizer(), name="toy", max_prompt_tokens=500)
        mix = TaskMix(
            {"toy": indices},
            {"toy": 1.0},
            batch_size=rl.rollout_batch_size // rl.samples_per_task,
            seed=0,
            curriculum=self.curriculum,
        )
        validation = {"toy": task_set.indices("validation", rl.validation_samples, 0)}
        self.rollouts = Rollouts(
            policy, {"toy": task_set}, mix, validation, self.config, clock, curriculum=self.curriculum
        )

    def collect(self, iteration: int) -> list[Episode]:
        episodes = self.rollouts.collect(iteration)["toy"]
        if self.config.rl_training.advantage == "vine":
            episodes, self.vine_metrics = self.rollouts.value(episodes, iteration, self.text_of)
        self.episodes[iteration] = episodes
        return self.episodes[iteration]

    @staticmethod
    def text_of(ids: Sequence[int]) -> str:
        return decode_text(tiny_tokenizer(), ids)

    def validate(self, finished: int) -> float:
        self.validations[finished] = summarise(self.rollouts.validate(), "v")["v/reward"]
        return self.validations[finished]
