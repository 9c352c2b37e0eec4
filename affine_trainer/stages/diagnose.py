"""Diagnostics of an RL run: how noisy each estimator's gradient is, and how right values are."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
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
from affine_trainer.config import Config, RLConfig
from affine_trainer.errors import StageError
from affine_trainer.records import Episode, seed_from
from affine_trainer.report.diagnostics_tables import diagnostics_tables
from affine_trainer.stages.rl import READS, RLRun, read_practice
from affine_trainer.stages.value_calibration import (
    Continued,
    calibrate,
    calibration_csv,
    continue_states,
)
from affine_trainer.stats import common_edges, distribution, gradient_noise, jackknife_difference
from affine_trainer.tracking import EVENTS_FILE, Tracker, progress, say

if TYPE_CHECKING:
    from affine_trainer.learning.frozen_batch import FrozenBatch
    from affine_trainer.learning.trl_ppo import PPOTrainer

SCHEMA_VERSION = 1
TABLES = ("advantages", "values", "calibration")
FEWEST_TASKS = 3
COLUMNS = ("of", "step", "outcome", "lower", "upper", "count", "cumulative_share")


@dataclass(frozen=True, slots=True)
class Measures:
    """What is measured: on `num_episodes`, whose values at `num_states` states are compared with the truth.

    The truth is taken from `fresh_rollouts` continuations of each; without a state that is left out. With
    `vine` that estimator is compared in a run of another one too.
    """

    num_episodes: int = 128
    num_states: int = 64
    fresh_rollouts: int = 64
    vine: bool = False


def diagnose(config: Config, *, at: str = "best", measures: Measures = Measures()) -> Path:
    """Play a fresh batch with weights of an RL run and write logs/{run}/diagnostics/{weights}; that folder.

    `at` is best, last, or the name of a folder in rl_checkpoints; the run may be under way. Writes
    diagnostics.json, advantages.csv, values.csv and, where values are compared with the truth,
    calibration.csv; nothing of the run is changed. Raises StageError.
    """
    check_vine(config.rl_training, measures)
    data, sft = data_dir(config), model_dir(config, "sft_final")
    require(data, "collect", "affine collect")
    require(sft, "sft", "affine sft")
    weights = find_weights(model_dir(config, "rl_checkpoints"), at)
    path = log_dir(config, "diagnostics", weights.name)
    inputs = {"collect": data, "sft": sft, "weights": weights}
    with stage_folder("diagnose", path, config, reads=READS, inputs=inputs, force=True) as folder:
        from affine_trainer.envs.stage_tasks import open_sandbox

        small = with_batch(config, measures.num_episodes)
        with open_sandbox(config) as sandbox:
            tracker = Tracker(path / EVENTS_FILE, "diagnose", rich.get_console())
            run = RLRun(small, tracker, read_practice(small, sandbox))
            found = _diagnose(run, weights, path, measures)
        folder.finish({"estimators": list(found["gradients"])})
    for table in diagnostics_tables(found):
        rich.get_console().print()
        rich.get_console().print(table)
    written = [path / name for name in ("diagnostics.json", *(f"{name}.csv" for name in TABLES))]
    say(f"diagnose: wrote {', '.join(str(file) for file in written if file.exists())}")
    return path


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


def check_vine(rl: RLConfig, measures: Measures) -> None:
    """StageError for `vine` beside a return that it cannot have."""
    if measures.vine and rl.gae_level == "token" and rl.gamma < 1.0:
        raise StageError(
            "--vine discounts by turns, but rl_training.gae_level is token: its advantages would be those of "
            "another return than the run learns from; leave --vine out"
        )


def _diagnose(run: RLRun, weights: Path, path: Path, measures: Measures) -> dict[str, Any]:
    """Play, measure, and write; the body of diagnostics.json."""
    from affine_trainer.learning.experience import pack_episodes
    from affine_trainer.learning.frozen_batch import freeze
    from affine_trainer.learning.ppo_loop import steps_per_iteration

    config, rl = run.config, run.config.rl_training
    trainer = run.open_trainer()
    trainer.load(weights)
    kind, _, number = weights.name.rpartition("-")
    iteration = int(number) // (1 if kind == "best" else steps_per_iteration(rl))
    left_out = why_not_calibrated(run, measures)
    with trainer.sampling():
        groups, episodes, continued = _play(run, iteration, measures, calibrated=left_out is None)
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
        "calibration": calibrate(continued, batch.values, rl, measures.fresh_rollouts, level)
        if continued
        else {"left_out": left_out},
        "zero_variance": explain_zero_variance(groups, rl.samples_per_task),
    }
    write_json(path / "diagnostics.json", found)
    for name in ("advantages", "values"):
        write_atomic(path / f"{name}.csv", as_csv(found[name]))
    if "rows" in found["calibration"]:
        write_atomic(path / "calibration.csv", calibration_csv(found["calibration"]))
    return found


def why_not_calibrated(run: RLRun, measures: Measures) -> str | None:
    """Why values are not compared with the truth; None where they are."""
    if not measures.num_states:
        return "not asked for (--states 0)"
    return run.practice.why_not_continued()


def _play(
    run: RLRun, iteration: int, measures: Measures, *, calibrated: bool
) -> tuple[dict[str, list[Episode]], list[Episode], Continued | None]:
    """All episodes by environment, those to learn from, and continuations of some of their states.

    Those have seeds of their own, so that the values of VinePPO's advantages come from other plays.
    """
    from affine_trainer.learning.rollouts import instructive
    from affine_trainer.learning.value_check import draw_states

    rl, rollouts, continued = run.config.rl_training, run.rollouts, None
    with_vine = measures.vine or rl.advantage == "vine"
    groups = rollouts.collect(iteration, keep_states=calibrated or with_vine)
    episodes = instructive(groups, rl.rollout_batch_size, rl.samples_per_task)
    if calibrated:
        seed = seed_from(run.config.seed, "diagnose", iteration)
        drawn = draw_states(
            episodes,
            rollouts.task_set,
            run.text_of,
            most=rl.vine_max_states,
            count=measures.num_states,
            seed=seed,
        )
        continued = continue_states(rollouts, drawn, measures.fresh_rollouts, seed)
    if with_vine:
        episodes, _ = rollouts.value(episodes, iteration, run.text_of)
    return groups, episodes, continued


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
