"""What happens between optimiser steps: schedules, reports, validation, early stopping, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from transformers import TrainerCallback

from affine_trainer.config import RLConfig
from affine_trainer.learning.checkpoints import Stateful
from affine_trainer.learning.early_stopping import EarlyStopping
from affine_trainer.learning.schedules import entropy_coefficient, kl_coefficient
from affine_trainer.records import Episode


@dataclass(frozen=True, slots=True)
class RunHooks:
    """What the training asks of the stage that owns it.

    `collect(iteration)`, counted from 0, plays `rollout_batch_size` episodes with the current policy.
    `validate(finished)` and `report(finished, metrics)` are called with the number of finished iterations;
    the first returns the score that decides which weights are the best. The state of `parts` goes into every
    checkpoint, and comes back before the first `collect` of a resumed run.
    """

    collect: Callable[[int], list[Episode]]
    validate: Callable[[int], float]
    report: Callable[[int, dict[str, float]], None]
    parts: Mapping[str, Stateful] = field(default_factory=dict)


def steps_per_iteration(rl: RLConfig) -> int:
    """Optimiser steps an iteration."""
    return rl.ppo_epochs * rl.rollout_batch_size // rl.mini_batch_size


class IterationLoop(TrainerCallback):
    """Counts iterations; one is `ppo_epochs` passes over a batch of episodes, each of several steps."""

    def __init__(self, trainer: Any, rl: RLConfig, hooks: RunHooks) -> None:
        self.trainer = trainer
        self.rl = rl
        self.hooks = hooks
        self.steps_per_iteration = steps_per_iteration(rl)
        total = rl.num_rollouts * self.steps_per_iteration
        self._entropy_coef, self._kl_coef = entropy_coefficient(rl, total), kl_coefficient(rl, total)
        self.stopping = EarlyStopping(rl.patience, rl.min_improvement)
        self.stop_reason = "num_rollouts"

    @property
    def finished(self) -> int:
        """Finished iterations."""
        return self.trainer.state.global_step // self.steps_per_iteration

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 0:
            self._validate()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.entropy_coef = self._entropy_coef(state.global_step)
        self.trainer.beta = self._kl_coef(state.global_step)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.clip_gradients()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % self.steps_per_iteration:
            return
        self.hooks.report(self.finished, self.trainer.iteration_metrics())
        last = self.finished >= self.rl.num_rollouts
        if self.finished % self.rl.validation_frequency == 0 or last:
            self._validate()
        if self.stopping.exhausted and not last:
            self.stop_reason = "patience"
            control.should_training_stop = True
        elif self.finished % self.rl.save_frequency == 0:
            control.should_save = True

    def _validate(self) -> None:
        """Score the current policy; keep its weights when no earlier one was better."""
        with self.trainer.sampling():
            score = self.hooks.validate(self.finished)
        if self.stopping.update(self.finished, score):
            self.trainer.save_best(self.finished)
