"""Diagnostics of an RL run: how noisy each estimator's gradient is, how advantages and values are spread."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich

from affine_trainer.artifacts import (
    data_dir,
    log_dir,
    model_dir,
    require,
    stage_folder,
    write_atomic,
    write_json,
)
from affine_trainer.config import Config
from affine_trainer.errors import StageError
from affine_trainer.records import Episode
from affine_trainer.report.diagnostics_tables import diagnostics_tables
from affine_trainer.stages.rl import READS, RLRun, read_practice
from affine_trainer.stats import common_edges, distribution, gradient_noise, jackknife_difference
from affine_trainer.tracking import EVENTS_FILE, Tracker, progress, say

if TYPE_CHECKING:
    from affine_trainer.learning.frozen_batch import FrozenBatch
    from affine_trainer.learning.trl_ppo import PPOTrainer

SCHEMA_VERSION = 1
FEWEST_TASKS = 3
COLUMNS = ("of", "step", "outcome", "lower", "upper", "count", "cumulative_share")


def diagnose(config: Config, *, at: str = "best", num_episodes: int = 128) -> Path:
    """Play a fresh batch with weights of an RL run and write logs/{run}/diagnostics/{weights}; that folder.

    `at` is best, last, or the name of a folder in rl_checkpoints; the run may be under way. Writes
    diagnostics.json, advantages.csv and values.csv; nothing of the run is changed. Raises StageError.
    """
    data, sft = data_dir(config), model_dir(config, "sft_final")
    require(data, "collect", "affine collect")
    require(sft, "sft", "affine sft")
    weights = find_weights(model_dir(config, "rl_checkpoints"), at)
    path = log_dir(config, "diagnostics", weights.name)
    inputs = {"collect": data, "sft": sft, "weights": weights}
    with stage_folder("diagnose", path, config, reads=READS, inputs=inputs, force=True) as folder:
        from affine_trainer.envs.stage_tasks import open_sandbox

        small = with_batch(config, num_episodes)
        with open_sandbox(config) as sandbox:
            tracker = Tracker(path / EVENTS_FILE, "diagnose", rich.get_console())
            found = _diagnose(RLRun(small, tracker, read_practice(small, sandbox)), weights, path)
        folder.finish({"estimators": list(found["gradients"])})
    for table in diagnostics_tables(found):
        rich.get_console().print()
        rich.get_console().print(table)
    names = ", ".join(str(path / name) for name in ("diagnostics.json", "advantages.csv", "values.csv"))
    say(f"diagnose: wrote {names}")
    return path


def config_of(run: str) -> Config:
    """The config that a finished run's RL was made with; StageError where there is none."""
    manifest = require(Path("models") / run / "rl_best", "rl", "affine rl")
    return Config.model_validate_json(json.dumps(manifest.config))


def find_weights(checkpoints: Path, at: str) -> Path:
    """The folder that `at` means; StageError naming those that are there."""
    found = {path.name: path for path in checkpoints.glob("*-*") if path.is_dir()}
    numbers = {name: int(number) for name in found if (number := name.rpartition("-")[2]).isdigit()}
    kind = {"best": "best", "last": "checkpoint"}.get(at)
    candidates = [name for name in numbers if name.rpartition("-")[0] == kind] if kind else [at]
    candidates = [name for name in candidates if name in numbers]
    if candidates:
        return found[max(candidates, key=numbers.__getitem__)]
    if not numbers:
        raise StageError(f"{checkpoints} holds no weights of an RL run: run `affine rl` first.")
    raise StageError(f"--at is {at!r}; there are best, last, {', '.join(sorted(numbers))} in {checkpoints}")


def with_batch(config: Config, num_episodes: int) -> Config:
    """The config with batches of about `num_episodes`, in whole tasks; StageError where those are too few."""
    rl = config.rl_training
    size, fewest = num_episodes - num_episodes % rl.samples_per_task, FEWEST_TASKS * rl.samples_per_task
    if size < fewest:
        raise StageError(
            f"--episodes {num_episodes} makes fewer than {FEWEST_TASKS} tasks of "
            f"rl_training.samples_per_task ({rl.samples_per_task}) episodes: give at least {fewest}"
        )
    sizes = {"rollout_batch_size": size, "mini_batch_size": size, "micro_batch_size": size}
    return config.model_copy(update={"rl_training": rl.model_copy(update=sizes)})


def _diagnose(run: RLRun, weights: Path, path: Path) -> dict[str, Any]:
    """Play, measure, and write; the body of diagnostics.json."""
    from affine_trainer.learning.experience import pack_episodes
    from affine_trainer.learning.frozen_batch import freeze
    from affine_trainer.learning.ppo_loop import steps_per_iteration
    from affine_trainer.learning.rollouts import instructive

    config, rl = run.config, run.config.rl_training
    trainer = run.open_trainer()
    trainer.load(weights)
    kind, _, number = weights.name.rpartition("-")
    iteration = int(number) // (1 if kind == "best" else steps_per_iteration(rl))
    with progress("diagnose: play", None, unit="batches") as bar, trainer.sampling():
        groups = run.rollouts.collect(iteration)
        episodes = run.valued(instructive(groups, rl.rollout_batch_size, rl.samples_per_task), iteration)
        bar.advance()
    experience = pack_episodes(episodes, trainer.pad_id)
    batch = freeze(episodes, experience, trainer.scored(experience).values, rl)
    level = config.sampling.confidence_level
    found = {
        "schema_version": SCHEMA_VERSION,
        "weights": str(weights),
        "episodes": len(episodes),
        "tasks": len({episode.task_key for episode in episodes}),
        "configured": rl.advantage,
        "confidence_level": level,
        "interval": "jackknife over tasks, Student's t",
        "gradients": gradients(trainer, batch, rl.advantage, level),
        "advantages": spreads(batch.advantages, batch),
        "values": spreads({} if batch.values is None else {"critic": batch.values[:, :-1]}, batch),
        "zero_variance": explain_zero_variance(groups, rl.samples_per_task),
    }
    write_json(path / "diagnostics.json", found)
    for name in ("advantages", "values"):
        write_atomic(path / f"{name}.csv", as_csv(found[name]))
    return found


def gradients(trainer: PPOTrainer, batch: FrozenBatch, reference: str, level: float) -> dict[str, Any]:
    """Each estimator's gradient noise on the same episodes, and its SNR less that of the configured one."""
    from affine_trainer.learning.frozen_batch import row_of, surrogate_losses
    from affine_trainer.learning.gradient_noise import gradient_sums

    experience = batch.experience
    with progress("diagnose: gradients", 2 * experience.num_episodes, unit="episodes") as bar:
        sums = gradient_sums(
            lambda row: surrogate_losses(
                batch, row, trainer.logprobs_with_gradients(row_of(experience, row))
            ),
            trainer.trained_parameters(),
            experience.tasks.tolist(),
            bar.advance,
        )
    known = {name: each for name, each in zip(batch.advantages, sums, strict=True) if each.squares.any()}
    noise = {name: {unit: gradient_noise(each, unit, level) for unit in ("episode", "task")}
             for name, each in known.items()}  # fmt: skip
    entries: dict[str, Any] = {name: {"silent": "every advantage is 0"} for name in batch.advantages}
    for name, by_unit in noise.items():
        entries[name] = {unit: _noise_entry(each) for unit, each in by_unit.items()}
        if reference in noise and name != reference:
            gap = jackknife_difference(by_unit["task"].snr, noise[reference]["task"].snr, level)
            entries[name]["snr_difference"] = {"to": reference, "value": gap.value, **gap.interval._asdict()}
    return entries


def _noise_entry(noise: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"units": noise.num_units}
    for name in ("squared_norm", "variance", "snr"):
        estimated = getattr(noise, name)
        entry[name] = {"value": estimated.value, **estimated.interval._asdict()}
    entry["noise_scale"] = {"value": noise.noise_scale, **noise.noise_scale_interval._asdict()}
    return entry


def spreads(of: Mapping[str, Any], batch: FrozenBatch) -> list[dict[str, Any]]:
    """The distribution of each tensor (B, T) over all action tokens, and by step and by outcome."""
    from affine_trainer.learning.frozen_batch import tokens_by_step

    rows = []
    for name, tensor in of.items():
        everything = tensor[batch.actions].tolist()
        edges = common_edges(everything)
        chosen = [("all", "all", batch.actions), *tokens_by_step(batch)]
        for step, outcome, mask in chosen:
            spread = distribution(tensor[mask].tolist(), edges)
            rows.append({"of": name, "step": step, "outcome": outcome, **asdict(spread)})
    return rows


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a bin of every histogram; `cumulative_share` is the empirical distribution function there."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_bins(rows))
    return text.getvalue()


def _bins(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        edges, counts, shares = row["edges"], row["counts"], row["cumulative"]
        for lower, upper, count, share in zip(edges[:-1], edges[1:], counts, shares, strict=True):
            yield row["of"], row["step"], row["outcome"], lower, upper, count, share


def explain_zero_variance(groups: Mapping[str, Sequence[Episode]], size: int) -> dict[str, Any]:
    """For each environment the tasks that were played, and why those teach nothing that do not."""
    from affine_trainer.learning.rollouts import by_task, zero_variance_tasks

    found = {}
    for name, tasks in zip(groups, by_task(groups, size), strict=True):
        same, number = zero_variance_tasks({name: groups[name]}, size)
        outcomes = [[e.grade.success for e in task if e.grade] for task in tasks]
        found[name] = {
            "tasks": number,
            "same_return": same,
            "all_failed": sum(bool(each) and not any(each) for each in outcomes),
            "all_solved": sum(bool(each) and all(each) for each in outcomes),
            "ungraded": sum(not each for each in outcomes),
        }
    return found
