"""Step 1: gather verified expert data and the task lists of the later stages, no problem in two splits."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import rich

from affine_trainer.artifacts import data_dir, stage_folder, write_json, write_jsonl
from affine_trainer.config import Config
from affine_trainer.errors import DataError, StageError
from affine_trainer.records import Task, TaskSet, seed_from
from affine_trainer.tracking import progress

if TYPE_CHECKING:
    from affine_trainer.envs.stage_tasks import TaskGroup
    from affine_trainer.sandbox import Sandbox
    from affine_trainer.stages.expert_samples import ExpertDraw, Rejections, Sample, TokenLimits

READS = (
    "seed",
    "data",
    "model.name",
    "model.revision",
    "model.max_prompt_tokens",
    "model.max_new_tokens",
    "rl_training.validation_samples",
    "evaluation.rules",
    "sandbox.cpu_seconds",
    "sandbox.wall_seconds",
    "sandbox.memory_mib",
    "sandbox.output_bytes",
)
# RL plays tasks that SFT has not seen: at least this many an environment, whatever its number of iterations,
# so that a longer RL run needs no new data. Once all have been played, it goes through them again.
MIN_RL_TASKS = 3000
SAME_SPLIT = (("train", "rl"), ("validation", "rl_validation"))


@dataclass(frozen=True, slots=True)
class Quota:
    """How many samples and tasks one environment contributes."""

    train: int
    validation: int
    rl: int
    rl_validation: int

    @property
    def total(self) -> int:
        return self.train + self.validation + self.rl + self.rl_validation


@dataclass(slots=True)
class Gathered:
    """One environment: its SFT samples, and the tasks that RL plays and validates on."""

    task_set: TaskSet
    validation: list[Sample]
    rl_validation: list[Task] = field(default_factory=list)
    train: list[Sample] = field(default_factory=list)
    rl: list[Task] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.task_set.env}@{self.task_set.family}"


def collect(config: Config, *, force: bool = False) -> Path:
    """Write data/{run}: train.jsonl, validation.jsonl, tasks.json and audit.json; returns that folder.

    Every reply has passed the grader of its task; what did not is counted in audit.json and named in
    rejected.jsonl. A killed run verifies nothing twice and ends with the same files. Raises StageError or
    DataError.
    """
    began, path = time.perf_counter(), data_dir(config)
    with stage_folder("collect", path, config, reads=READS, inputs=_inputs(config), force=force) as folder:
        if folder.complete:
            say(f"collect: {path} is complete, nothing to do")
            return path
        from affine_trainer.envs.stage_tasks import open_sandbox

        with open_sandbox(config) as sandbox:
            audit = _collect(config, path, sandbox)
            device = {"isolation": sandbox.level_reached}
        seconds = time.perf_counter() - began
        folder.finish({"counts": audit["counts"], "seconds": seconds}, device=device)
    _tell(audit, path, seconds)
    return path


def _inputs(config: Config) -> dict[str, Path]:
    sources = {"data.prompts": config.data.prompts, "data.affine.programs": config.data.affine.programs}
    paths = {name: Path(source).expanduser() for name, source in sources.items() if source}
    return {name: path for name, path in paths.items() if path.exists()}


def _collect(config: Config, path: Path, sandbox: Sandbox) -> dict[str, Any]:
    """Draw, verify and write everything; the audit as written."""
    from affine_trainer.envs import task_sets
    from affine_trainer.envs.stage_tasks import evaluation_tasks
    from affine_trainer.stages.expert_samples import ExpertDraw, Rejections, VerdictCache

    limits = token_limits(config)
    evaluation = evaluation_tasks(config, sandbox)
    sets = list(task_sets(config, sandbox).values())
    cache = VerdictCache(path / "expert_cache.jsonl", threads=2 * sandbox.num_workers)
    wanted = quotas(config, [tasks.env for tasks in sets])
    rejected = {f"{tasks.env}@{tasks.family}": Rejections() for tasks in sets}
    gathered = []
    with progress("collect", sum(quota.total for quota in wanted), unit="tasks") as bar:
        for tasks, quota in zip(sets, wanted, strict=True):
            rejections = rejected[f"{tasks.env}@{tasks.family}"]
            draw = ExpertDraw(config.seed, limits, cache, rejections, bar.advance)
            gathered.append(_gather(tasks, quota, draw, evaluation))
    return _write(config, path, gathered, evaluation, rejected)


def token_limits(config: Config) -> TokenLimits:
    """Token counts by the model's own tokenizer, and the limits of the config."""
    from affine_trainer.policies.hf import encode_completion, encode_prompt, load_tokenizer
    from affine_trainer.stages.expert_samples import TokenLimits

    tokenizer = load_tokenizer(config.model.name, config)
    return TokenLimits(
        count_prompt=lambda task: len(encode_prompt(tokenizer, task.prompt)),
        count_reply=lambda reply: len(encode_completion(tokenizer, reply)),
        max_prompt_tokens=config.model.max_prompt_tokens,
        max_new_tokens=config.model.max_new_tokens,
    )


def quotas(config: Config, envs: Sequence[str]) -> list[Quota]:
    """`data.num_samples` shared out by `data.affine.weights`, and each share by `data.train_split`.

    DataError where no sample at all would be left for validation.
    """
    validate = config.rl_training.validation_samples
    found = []
    for count in shared_out(
        config.data.num_samples, [config.data.affine.weights[_short(env)] for env in envs]
    ):
        train = min(max(round(count * config.data.train_split), min(1, count)), max(count - 1, min(1, count)))
        found.append(Quota(train, count - train, max(MIN_RL_TASKS, count), -(-validate // len(envs))))
    if not any(quota.validation for quota in found):
        raise DataError(
            f"data.num_samples = {config.data.num_samples} leaves no sample for validation: raise it"
        )
    return found


def shared_out(total: int, weights: Sequence[float]) -> list[int]:
    """Whole shares of `total` in proportion to the weights, largest remainders first."""
    exact = [total * weight / sum(weights) for weight in weights]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda place: counts[place] - exact[place])
    for place in by_remainder[: total - sum(counts)]:
        counts[place] += 1
    return counts


def _gather(tasks: TaskSet, quota: Quota, draw: ExpertDraw, evaluation: Sequence[TaskGroup]) -> Gathered:
    """One environment's share. Evaluation comes first, then validation by SFT and by RL, then training."""
    taken = {task.content_sha256 for group in evaluation for task in group.tasks}
    found = Gathered(tasks, draw.samples(tasks, "validation", quota.validation, taken))
    taken |= {sample.task.content_sha256 for sample in found.validation}
    # Another order than that of the samples, or all that they passed over would come first again.
    apart = replace(draw, seed=seed_from(draw.seed, "rl validation"))
    found.rl_validation = apart.tasks(tasks, "validation", quota.rl_validation, taken)
    taken |= {task.content_sha256 for task in found.rl_validation}
    found.train = draw.samples(tasks, "train", quota.train, taken)
    used = {sample.task.key for sample in found.train}
    found.rl = draw.tasks(tasks, "train", quota.rl, taken, used)
    # SFT may use up a small data set: RL then practises, or is validated, on the same tasks.
    found.rl = found.rl or [sample.task for sample in found.train]
    found.rl_validation = found.rl_validation or [sample.task for sample in found.validation]
    return found


def _write(
    config: Config,
    path: Path,
    gathered: Sequence[Gathered],
    evaluation: Sequence[TaskGroup],
    rejected: Mapping[str, Rejections],
) -> dict[str, Any]:
    splits = {
        "train": [sample.task for found in gathered for sample in found.train],
        "validation": [sample.task for found in gathered for sample in found.validation],
        "rl": [task for found in gathered for task in found.rl],
        "rl_validation": [task for found in gathered for task in found.rl_validation],
        "evaluation": [task for group in evaluation for task in group.tasks],
    }
    audit = {
        "counts": {split: _by_environment(tasks) for split, tasks in splits.items()},
        "rejected": {name: dict(sorted(found.counts.items())) for name, found in rejected.items()},
        "overlaps": check_overlaps(splits),
        "tokens": {found.name: _token_lengths(found) for found in gathered if found.train},
        "templates": _template_hashes(config),
    }
    for split in ("train", "validation"):
        samples = [sample for found in gathered for sample in getattr(found, split)]
        random.Random(seed_from(config.seed, "collect", split)).shuffle(samples)
        write_jsonl(path / f"{split}.jsonl", (sample.row() for sample in samples))
    write_json(path / "tasks.json", task_lists(gathered, evaluation))
    if named := [row for found in rejected.values() for row in found.named]:
        write_jsonl(path / "rejected.jsonl", named)
    write_json(path / "audit.json", audit)
    return audit


def task_lists(gathered: Sequence[Gathered], evaluation: Sequence[TaskGroup]) -> dict[str, Any]:
    """The indices that RL plays, RL validates on, and evaluation plays, by environment and family."""
    return {
        "rl": {found.name: [task.index for task in found.rl] for found in gathered},
        "validation": {found.name: [task.index for task in found.rl_validation] for found in gathered},
        "evaluation": {group.name: [task.index for task in group.tasks] for group in evaluation},
    }


def check_overlaps(splits: Mapping[str, Sequence[Task]]) -> dict[str, dict[str, int]]:
    """How many task keys and contents two splits share; StageError unless it is none.

    RL practises on the split that SFT trains on and is validated on that of SFT's validation: there they may
    meet the same problems.
    """
    keys = {name: {task.key for task in tasks} for name, tasks in splits.items()}
    contents = {name: {(task.env, task.content_sha256) for task in tasks} for name, tasks in splits.items()}
    names, overlaps = list(splits), {}
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            shared = {
                "keys": len(keys[first] & keys[second]),
                "contents": len(contents[first] & contents[second]),
            }
            overlaps[f"{first}/{second}"] = shared
            if any(shared.values()) and (first, second) not in SAME_SPLIT:
                raise StageError(
                    f"{first} and {second} share {shared['contents']} problems, so no data was written; "
                    "report this with the config, since splits are meant to be disjoint"
                )
    return overlaps


def _by_environment(tasks: Sequence[Task]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for task in tasks:
        name = f"{task.env}@{task.family}"
        counts[name] = counts.get(name, 0) + 1
    return counts


def _token_lengths(found: Gathered) -> dict[str, dict[str, float]]:
    samples = [*found.train, *found.validation]
    prompts = [sample.num_prompt_tokens for sample in samples]
    completions = [sample.num_completion_tokens for sample in samples]
    return {
        name: {"mean": fmean(counts), "max": max(counts)}
        for name, counts in (("prompt", prompts), ("completion", completions))
    }


def _template_hashes(config: Config) -> dict[str, str]:
    from affine_trainer.envs import template_hashes

    return template_hashes(config)


def _short(env: str) -> Any:
    """`sat` of `affine:sat`, as the config's weights name it."""
    return env.removeprefix("affine:")


def _tell(audit: dict[str, Any], path: Path, seconds: float) -> None:
    for name, rejected in audit["rejected"].items():
        kept, held_back = (audit["counts"][split].get(name, 0) for split in ("train", "validation"))
        passed_over = ", ".join(f"{count} {reason}" for reason, count in rejected.items()) or "none"
        say(f"collect: {name}: {kept} to train, {held_back} to validate; passed over: {passed_over}")
    say(f"collect: {seconds:.0f} s, every reply verified, no problem in two splits")
    say(f"collect: wrote {path}; next: affine sft")


def say(text: str) -> None:
    rich.get_console().print(text, soft_wrap=True, highlight=False, markup=False)
