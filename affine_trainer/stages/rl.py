"""Step 3: reinforcement learning (PPO, REINFORCE, GRPO) of the fine-tuned model on the collected tasks."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affine_trainer.artifacts import (
    command_for,
    data_dir,
    log_dir,
    model_dir,
    read_jsonl,
    read_manifest,
    require,
    stage_folder,
)
from affine_trainer.config import Config, RLConfig
from affine_trainer.device import describe_device, require_bf16
from affine_trainer.errors import ConfigError, DataError, StageError
from affine_trainer.learning.rollout_plan import check_plan, plan_lines
from affine_trainer.records import Episode
from affine_trainer.tracking import EVENTS_FILE, Tracker, open_tracker, progress, say, truncate_events

if TYPE_CHECKING:
    from affine_trainer.learning.checkpoints import Stateful
    from affine_trainer.learning.diagnostics import PhaseClock
    from affine_trainer.learning.ppo_loop import RunHooks
    from affine_trainer.learning.practice import Practice
    from affine_trainer.learning.trl_ppo import PPOTrainer
    from affine_trainer.policies.hf import HFPolicy
    from affine_trainer.sandbox import Sandbox

READS = (
    "seed",
    "model",
    "training.use_lora",
    "training.lora_r",
    "training.lora_alpha",
    "training.lora_dropout",
    "training.lora_target_modules",
    "training.bf16",
    "training.gradient_checkpointing",
    "rl_training",
    "data.affine",
    "data.agentgym",
    "data.custom",
    "data.prompts",
    "evaluation.rules",
    "sandbox.cpu_seconds",
    "sandbox.wall_seconds",
    "sandbox.memory_mib",
    "sandbox.output_bytes",
)
MAX_TIMES_SAID = 3


def rl(config: Config, *, force: bool = False) -> Path:
    """Train; write models/{run}/rl_best (best validation, its critic beside it if it has one) and rl_final.

    Both are adapters for the pristine `model.name`, or whole models without LoRA. A killed run resumes from
    its last whole checkpoint and ends with the metrics of an undisturbed one. Raises StageError, DataError or
    ConfigError.
    """
    best, final = model_dir(config, "rl_best"), model_dir(config, "rl_final")
    logs, data, sft = log_dir(config, "rl"), data_dir(config), model_dir(config, "sft_final")
    from affine_trainer.envs.custom import environment_files
    from affine_trainer.envs.stage_tasks import open_sandbox

    check_start(config)
    with open_sandbox(config) as sandbox:
        # Before the folder is opened: a config that is refused shall not be the one it was begun with.
        practice = None if not force and read_manifest(best) else read_practice(config, sandbox)
        with stage_folder(
            "rl",
            best,
            config,
            reads=READS,
            inputs={"collect": data, "sft": sft} | _reward_file(config) | environment_files(config),
            force=force,
            beside=(final, model_dir(config, "rl_checkpoints"), logs),
        ) as folder:
            if folder.complete:
                say(f"rl: {best} is complete, nothing to do")
                return best
            practice = practice or read_practice(config, sandbox)
            for note in practice.notes:
                say(f"rl: curriculum: {note}")
            for line in beforehand(config.rl_training):
                say(f"rl: {line}")
            with open_tracker(config, logs, "rl") as tracker:
                metrics = RLRun(config, tracker, practice).train()
            device = describe_device() | {"isolation": sandbox.level_reached}
            folder.finish(metrics, device=device, leaves=[final, logs])
    _tell(metrics, best, final, logs)
    return best


def check_start(config: Config) -> None:
    """Raise what keeps a run from starting: the machine, or an earlier stage that is not done."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("affine rl runs in one process so far: start it without torchrun")
    if config.training.bf16:
        require_bf16()
    if config.rl_training.advantage == "vine":
        check_plan(config.rl_training)
    require(data_dir(config), "collect", "affine collect")
    require(model_dir(config, "sft_final"), "sft", "affine sft")


def beforehand(rl: RLConfig) -> list[str]:
    """What a person should know before a run starts: VinePPO's plan, and a warm-up that does not end."""
    from affine_trainer.learning.ppo_loop import steps_per_iteration

    lines = plan_lines(rl) if rl.advantage == "vine" else []
    steps = rl.num_rollouts * steps_per_iteration(rl)
    if rl.warmup_steps >= steps:
        lines.append(
            f"the learning rate never reaches its peak: rl_training.warmup_steps is {rl.warmup_steps}, and "
            f"{rl.num_rollouts} iterations are {steps} optimiser steps"
        )
    return lines


def _reward_file(config: Config) -> dict[str, Path]:
    """The user's reward function as an input of the stage, where there is one."""
    if config.rl_training.reward_function is None:
        return {}
    from affine_trainer.learning.reward_function import reward_file

    return {"reward_function": reward_file(config.rl_training.reward_function)}


def read_practice(config: Config, sandbox: Sandbox) -> Practice:
    """What the run practises, from the task lists of collect."""
    from affine_trainer.learning.practice import open_practice

    path = data_dir(config) / "tasks.json"
    return open_practice(read_tasks(path, "rl"), read_tasks(path, "validation"), config, sandbox)


def read_tasks(path: Path, section: str) -> dict[str, list[int]]:
    """The task indices of one section of tasks.json by environment and family, e.g. `affine:sat@small`."""
    try:
        tasks = json.loads(path.read_text())[section]
        found = {name: [int(index) for index in indices] for name, indices in tasks.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} has no task lists under {section!r} ({error}): redo it with `affine collect --force`"
        ) from error
    if not found or not all(found.values()):
        raise DataError(f"{path} lists no tasks under {section!r}: redo it with `affine collect --force`")
    return found


def open_trainer(
    config: Config, output_dir: Path, hooks: RunHooks, clock: PhaseClock
) -> tuple[PPOTrainer, HFPolicy]:
    """The fine-tuned model with what trains it, and the same model as the policy that plays."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from transformers.utils import logging

    from affine_trainer.learning.trl_ppo import PPOTrainer
    from affine_trainer.policies.hf import HFPolicy, load_model, load_tokenizer

    logging.set_verbosity_error()  # tied weights are "missing" from every checkpoint, it would say
    sft = str(model_dir(config, "sft_final"))
    tokenizer, model = load_tokenizer(sft, config), load_model(sft, config)
    trainer = PPOTrainer(
        model if config.training.use_lora else model.float(),
        tokenizer,
        config,
        output_dir=output_dir,
        hooks=hooks,
        clock=clock,
    )
    policy = HFPolicy(
        trainer.policy_model,
        tokenizer,
        name="rl",
        max_prompt_tokens=config.model.max_prompt_tokens,
        max_episode_tokens=config.model.max_episode_tokens,
    )
    return trainer, policy


class RLRun:
    """One run of the stage: what the trainer calls back into, and where its numbers go."""

    def __init__(self, config: Config, tracker: Tracker, practice: Practice) -> None:
        self.config = config
        self.tracker = tracker
        self.practice = practice
        from affine_trainer.learning.play_history import PlayHistory

        self.batch_metrics: dict[str, float] = {}
        self.history = PlayHistory()
        self._parts: dict[str, Stateful] = {"history": self.history}
        if practice.curriculum:
            self._parts["curriculum"] = practice.curriculum
        self.times_said: dict[str, int] = {}

    def train(self) -> dict[str, Any]:
        """Train, save both models, and return the metrics of the manifest."""
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        from affine_trainer.learning.ppo_loop import steps_per_iteration
        from affine_trainer.learning.trl_sft import last_complete_checkpoint

        config, sft = self.config, model_dir(self.config, "sft_final")
        checkpoint, steps = last_complete_checkpoint(model_dir(config, "rl_checkpoints")) or (None, 0)
        done = steps // steps_per_iteration(config.rl_training)
        # Without a checkpoint all is done again, the validation before the first iteration (step 0) included.
        truncate_events(self.tracker.path, done if checkpoint else -1)
        with progress("rl", config.rl_training.num_rollouts, unit="iterations", completed=done) as self.bar:
            trainer = self.open_trainer()
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        trainer.export(model_dir(config, "rl_final"), sft, config.model.name)
        trainer.load_best()
        trainer.export(model_dir(config, "rl_best"), sft, config.model.name)
        self.tracker.artifact(model_dir(config, "rl_best"), "model")
        loop = trainer.loop
        return summarise_run(self.tracker.path, loop.stopping.best_iteration) | {
            "optimiser_steps": trainer.state.global_step,
            "stop_reason": loop.stop_reason,
        }

    def open_trainer(self) -> PPOTrainer:
        """The trainer on the fine-tuned model, and `rollouts` that play with its policy."""
        from affine_trainer.learning.diagnostics import PhaseClock
        from affine_trainer.learning.ppo_loop import RunHooks

        clock = PhaseClock()
        hooks = RunHooks(self._collect, self._validate, self._report, self._parts)
        trainer, policy = open_trainer(self.config, model_dir(self.config, "rl_checkpoints"), hooks, clock)
        self.rollouts = self.practice.rollouts(policy, self.config, clock)
        self.text_of = policy.text_of
        return trainer

    def _collect(self, iteration: int) -> list[Episode]:
        from affine_trainer.learning.rollouts import instructive, summarise, zero_variance_tasks
        from affine_trainer.learning.token_shards import save_tokens

        rl, curriculum = self.config.rl_training, self.practice.curriculum
        limits = curriculum.metrics(iteration) if curriculum else {}
        groups = self.rollouts.collect(iteration)
        played = [episode for group in groups.values() for episode in group]
        episodes = instructive(groups, rl.rollout_batch_size, rl.samples_per_task)
        keep = self.config.tracking.keep_tokens
        save_tokens(log_dir(self.config, "rl", "tokens"), iteration + 1, episodes, keep)
        self.history.add(groups)
        self.batch_metrics = summarise(groups, "rl") | self.history.metrics() | limits
        self.num_played = len(played)
        self.sample = self._sample(iteration + 1, groups)
        same, num_tasks = zero_variance_tasks(groups, rl.samples_per_task)
        self.batch_metrics["rl/zero_variance_tasks"] = same / num_tasks
        self._explain(iteration + 1, played)
        if rl.advantage == "group":  # other baselines learn from such tasks all the same
            self._explain_tasks(iteration + 1, same, num_tasks)
        return self._valued(episodes, iteration)

    def _valued(self, episodes: list[Episode], iteration: int) -> list[Episode]:
        """The episodes with the values of their states, where advantages are made of them."""
        if self.config.rl_training.advantage != "vine":
            return episodes
        episodes, metrics = self.rollouts.value(episodes, iteration, self.text_of)
        self.batch_metrics |= {f"rl/{name}": value for name, value in metrics.items()}
        return episodes

    def _sample(self, iteration: int, groups: Mapping[str, Sequence[Episode]]) -> dict[str, Any]:
        """Every `tracking.sample_frequency` iterations the rewards of all episodes, and some in full."""
        from affine_trainer.learning.play_history import sample_of

        tracking = self.config.tracking
        if not tracking.sample_frequency or iteration % tracking.sample_frequency:
            return {}
        return sample_of(groups, tracking.num_samples)

    def _explain(self, iteration: int, episodes: list[Episode]) -> None:
        errors = [episode.error for episode in episodes if episode.grade is None]
        if errors:
            self._say(
                "ungraded",
                f"rl: iteration {iteration}: {len(errors)} of {len(episodes)} episodes could not be graded "
                f"({errors[0]}); they are left out of the update",
            )
        if self.batch_metrics.get("rl/return_std") == 0.0:
            self._say(
                "same reward",
                f"rl: iteration {iteration}: every episode earned {self.batch_metrics['rl/return']:g}, so "
                "none is to be preferred; only critic, KL and entropy have something to learn",
            )

    def _explain_tasks(self, iteration: int, same: int, num_tasks: int) -> None:
        """Say where the update holds tasks whose episodes, compared with each other, teach nothing."""
        rl = self.config.rl_training
        wanted = rl.rollout_batch_size // rl.samples_per_task
        idle = wanted - (num_tasks - same)
        if idle > wanted / 2 and self.batch_metrics.get("rl/reward_std"):
            self._say(
                "idle tasks",
                f"rl: iteration {iteration}: in {same} of {num_tasks} tasks all episodes earned the same, so "
                f"{idle} of the {wanted} tasks learned from say nothing about what is better; raise "
                "rl_training.oversampling or samples_per_task, or practise tasks of middling difficulty",
            )

    def _say(self, kind: str, text: str) -> None:
        self.times_said[kind] = self.times_said.get(kind, 0) + 1
        if self.times_said[kind] <= MAX_TIMES_SAID:
            say(text if self.times_said[kind] < MAX_TIMES_SAID else f"{text} (not said again)")

    def _validate(self, finished: int) -> float:
        from affine_trainer.learning.rollouts import summarise

        began = time.perf_counter()
        metrics = summarise(self.rollouts.validate(), "validation")
        if "validation/reward" not in metrics:
            raise StageError(
                "none of the validation tasks could be graded: look at the sandbox with `affine doctor`"
            )
        self.tracker.log(metrics | {"time/validation": time.perf_counter() - began}, step=finished)
        return metrics["validation/reward"]

    def _report(self, finished: int, metrics: dict[str, float]) -> None:
        seconds = sum(value for name, value in metrics.items() if name.startswith("time/"))
        tokens = self.batch_metrics["rl/completion_length"] * self.num_played
        tokens += self.batch_metrics.get("rl/vine_tokens", 0.0)
        derived = {
            "rl/tokens": tokens,
            "rl/tokens_per_second": tokens / seconds,
            "time/iteration": seconds,
        }
        self.tracker.log(self.batch_metrics | metrics | derived | self.sample, step=finished)
        reward, success = (self.batch_metrics.get(f"rl/{name}", math.nan) for name in ("reward", "success"))
        self.bar.note(f"reward {reward:.3f}, success {success:.1%}")
        self.bar.advance()


def summarise_run(events: Path, best_iteration: int | None) -> dict[str, Any]:
    """The metrics of a finished run from its events, which a resumed run carries on.

    `seconds` is the time of iterations and validations, without what a kill threw away.
    """
    rows = list(read_jsonl(events, ("step",)))
    iterations = [row for row in rows if "rl/reward" in row]
    validations = [row for row in rows if "validation/reward" in row]
    best = next(row for row in validations if row["step"] == best_iteration)
    seconds = [row.get("time/iteration", row.get("time/validation", 0.0)) for row in rows]
    return {
        "iterations": iterations[-1]["step"],
        "best_iteration": best["step"],
        "best_reward": best["validation/reward"],
        "best_success": best["validation/success"],
        "first_reward": validations[0]["validation/reward"],
        "first_success": validations[0]["validation/success"],
        "final_reward": validations[-1]["validation/reward"],
        "final_success": validations[-1]["validation/success"],
        "final_train_reward": iterations[-1]["rl/reward"],
        "final_kl_divergence": iterations[-1].get("rl/kl_divergence"),
        "seconds": sum(seconds),
    }


def _tell(metrics: dict[str, Any], best: Path, final: Path, logs: Path) -> None:
    why = {
        "num_rollouts": "all iterations done",
        "patience": "no better validation for rl_training.patience validations",
    }
    found = metrics["best_iteration"] > 0
    say(
        f"rl: {metrics['iterations']} iterations, {metrics['optimiser_steps']} optimiser steps "
        f"({why[metrics['stop_reason']]}); validation reward {metrics['first_reward']:.3f} before"
        + (f", {metrics['best_reward']:.3f} at iteration {metrics['best_iteration']}" if found else "")
    )
    if not found:
        say("rl: no validation beat the fine-tuned model, so rl_best is that model")
    say(f"rl: wrote {best}, {final} and {logs / EVENTS_FILE}; next: {command_for(logs, 'affine eval')}")
