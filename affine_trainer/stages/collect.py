"""Step 1: gather verified expert data and the task lists of the later stages, no problem in two splits."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from affine_trainer.artifacts import command_for, data_dir, stage_folder, write_json, write_jsonl
from affine_trainer.config import Config
from affine_trainer.errors import DataError, StageError
from affine_trainer.records import Message, Task, TaskGroup, TaskSet, seed_from
from affine_trainer.tracking import progress, say

if TYPE_CHECKING:
    from affine_trainer.sandbox import Sandbox
    from affine_trainer.stages.expert_samples import (
        ExpertDraw,
        Experts,
        Rejections,
        Sample,
        TokenLimits,
    )

READS = (
    "seed",
    "data",
    "model.name",
    "model.revision",
    "model.max_prompt_tokens",
    "model.max_new_tokens",
    "rl_training.weights",
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

    name: str
    validation: list[Sample]
    rl_validation: list[Task] = field(default_factory=list)
    train: list[Sample] = field(default_factory=list)
    rl: list[Task] = field(default_factory=list)


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
    from affine_trainer.envs.custom import environment_files

    sources = {"data.prompts": config.data.prompts, "data.affine.programs": config.data.affine.programs}
    paths = {name: Path(source).expanduser() for name, source in sources.items() if source}
    return {name: path for name, path in paths.items() if path.exists()} | environment_files(config)


def _collect(config: Config, path: Path, sandbox: Sandbox) -> dict[str, Any]:
    """Draw, verify and write everything; the audit as written."""
    from affine_trainer.envs import task_sets
    from affine_trainer.envs.stage_tasks import evaluation_tasks
    from affine_trainer.stages.expert_samples import ExpertDraw, Rejections

    limits = token_limits(config)
    evaluation = evaluation_tasks(config, sandbox)
    sets = list(task_sets(config, sandbox, "training").values())
    wanted = quotas(config, [tasks.env for tasks in sets])
    rejected = {_name(tasks): Rejections() for tasks in sets}
    gathered = []
    say(f"collect: {counted(wanted)}")
    with progress("collect", sum(quota.total for quota in wanted), unit="tasks") as bar:
        for tasks, quota in zip(sets, wanted, strict=True):
            rejections = rejected[_name(tasks)]
            bar.note(tasks.env)
            experts = experts_of(tasks, path, limits, config, threads=2 * sandbox.num_workers)
            draw = ExpertDraw(config.seed, limits, experts, rejections, bar.advance)
            answered = with_experts(tasks, config, sandbox)
            gathered += _gather(tasks, answered, quota, draw, evaluation)
    gathered += _brought_along(config, limits)
    return _write(config, path, gathered, evaluation, rejected)


def _brought_along(config: Config, limits: TokenLimits) -> list[Gathered]:
    """The user's AgentTraj files, environment by environment, shared out like our own samples."""
    from affine_trainer.stages.expert_episodes import trajectory_samples

    found: dict[str, list[Sample]] = {}
    for sample in trajectory_samples(config.data.agentgym.trajectories, limits):
        found.setdefault(_name(sample.task), []).append(sample)
    gathered = []
    for name, samples in found.items():
        random.Random(seed_from(config.seed, "trajectories", name)).shuffle(samples)
        kept = round(len(samples) * config.data.train_split)
        gathered.append(Gathered(name, validation=samples[kept:], train=samples[:kept]))
    return gathered


def experts_of(tasks: TaskSet, path: Path, limits: TokenLimits, config: Config, *, threads: int) -> Experts:
    """Who answers these tasks: the author of single replies, or a player of whole episodes."""
    from affine_trainer.envs.agents.players import expert_policy
    from affine_trainer.envs.custom import PREFIX, OwnExpert
    from affine_trainer.stages.expert_episodes import Plays
    from affine_trainer.stages.expert_samples import Answers

    if tasks.max_turns == 1:
        return Answers(path / "expert_cache.jsonl", limits, threads=threads)
    own, thoughts = tasks.env.startswith(PREFIX), config.data.agentgym.thoughts
    expert = OwnExpert() if own else expert_policy(thoughts=thoughts)
    cache = path / f"expert_plays_{tasks.env.partition(':')[2]}.jsonl"
    return Plays(cache, limits, expert, seed=config.seed)


def token_limits(config: Config) -> TokenLimits:
    """Token counts by the model's own tokenizer, and the limits of the config."""
    from affine_trainer.policies.hf import encode_conversation, load_tokenizer
    from affine_trainer.stages.expert_samples import TokenLimits

    tokenizer = load_tokenizer(config.model.name, config)

    def count(prompt: Sequence[Message], turns: Sequence[Message]) -> tuple[int, int]:
        _, actions = encode_conversation(tokenizer, prompt, turns)
        first = actions.index(1) if turns else len(actions)
        return first, len(actions) - first

    limits = config.model
    return TokenLimits(count, limits.max_prompt_tokens, limits.max_new_tokens, limits.max_episode_tokens)


def quotas(config: Config, envs: Sequence[str]) -> list[Quota]:
    """`data.num_samples` shared out by the environments' weights, and each share by `data.train_split`.

    RL's validation tasks are shared out as its practice is, so that their mean reward is what it improves.
    What it does not practise has no tasks for it.
    DataError where no sample at all would be left for validation.
    """
    from affine_trainer.envs.stage_tasks import practice_weights, weight_of

    weights = [weight_of(env, config) for env in envs]
    samples = shared_out(config.data.num_samples, weights)
    practised = practice_weights(envs, config)
    validate = shared_out(max(config.rl_training.validation_samples, len(envs)), practised)
    found = []
    for env, count, tasks, share in zip(envs, samples, validate, practised, strict=True):
        train = min(max(round(count * config.data.train_split), min(1, count)), max(count - 1, min(1, count)))
        played = (max(fewest_rl_tasks(env), count), max(1, tasks)) if share else (0, 0)
        found.append(Quota(train, count - train, *played))
    if not any(quota.validation for quota in found):
        raise DataError(
            f"data.num_samples = {config.data.num_samples} leaves no sample for validation: raise it"
        )
    return found


def counted(wanted: Sequence[Quota]) -> str:
    """What the progress bar counts, in words."""
    train, validation, rl, rl_validation = (
        sum(getattr(quota, part) for quota in wanted)
        for part in ("train", "validation", "rl", "rl_validation")
    )
    total = train + validation + rl + rl_validation
    return (
        f"{total:,} tasks at most: {train + validation:,} with an expert's sample ({train:,} to train, "
        f"{validation:,} to validate), {rl:,} for RL to play and {rl_validation:,} to validate it"
    )


def fewest_rl_tasks(env: str) -> int:
    """Interactive plays are long, so that fewer of their tasks are played."""
    return MIN_RL_TASKS // 10 if env.startswith("agentgym:") else MIN_RL_TASKS


def shared_out(total: int, weights: Sequence[float]) -> list[int]:
    """Whole shares of `total` in proportion to the weights, largest remainders first."""
    exact = [total * weight / sum(weights) for weight in weights]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda place: counts[place] - exact[place])
    for place in by_remainder[: total - sum(counts)]:
        counts[place] += 1
    return counts


def with_experts(tasks: TaskSet, config: Config, sandbox: Sandbox) -> TaskSet:
    """Where samples come from: the task set itself, or the embedded one of a server that no expert knows."""
    from affine_trainer.envs import task_set

    if tasks.family != "server" or not tasks.env.startswith("agentgym:"):
        return tasks
    return task_set(tasks.env, "embedded", config=config, sandbox=sandbox, purpose="training")


def _gather(
    tasks: TaskSet, answered: TaskSet, quota: Quota, draw: ExpertDraw, evaluation: Sequence[TaskGroup]
) -> list[Gathered]:
    """One environment's share: samples of `answered`, and lists of `tasks` to play.

    Evaluation comes first, then validation by SFT and by RL, then training.
    """
    taken = {task.content_sha256 for group in evaluation for task in group.tasks}
    found = Gathered(_name(answered), draw.samples(answered, "validation", quota.validation, taken))
    played = found if answered is tasks else Gathered(_name(tasks), [])
    taken |= {sample.task.content_sha256 for sample in found.validation}
    # Another order than that of the samples, or all that they passed over would come first again.
    apart = replace(draw, seed=seed_from(draw.seed, "rl validation"))
    played.rl_validation = apart.tasks(tasks, "validation", quota.rl_validation, taken)
    taken |= {task.content_sha256 for task in played.rl_validation}
    found.train = draw.samples(answered, "train", quota.train, taken)
    used = {sample.task.key for sample in found.train}
    played.rl = draw.tasks(tasks, "train", quota.rl, taken, used)
    if quota.rl:  # SFT may use up a small data set: RL then practises, or is validated, on the same tasks.
        played.rl = played.rl or [sample.task for sample in found.train]
        played.rl_validation = played.rl_validation or [sample.task for sample in found.validation]
    return [found] if played is found else [found, played]


def _name(of: TaskSet | Task) -> str:
    return f"{of.env}@{of.family}"


def _write(
    config: Config,
    path: Path,
    gathered: Sequence[Gathered],
    evaluation: Sequence[TaskGroup],
    rejected: Mapping[str, Rejections],
) -> dict[str, Any]:
    from affine_trainer.stages.expert_episodes import write_trajectories

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
    for found in gathered:
        if found.name.startswith("agentgym:"):
            traj = path / "agenttraj" / f"{found.name.partition(':')[2]}.json"
            write_trajectories(traj, found.train)
    write_json(path / "tasks.json", task_lists(gathered, evaluation))
    if named := [row for found in rejected.values() for row in found.named]:
        write_jsonl(path / "rejected.jsonl", named)
    write_json(path / "audit.json", audit)
    return audit


def task_lists(gathered: Sequence[Gathered], evaluation: Sequence[TaskGroup]) -> dict[str, Any]:
    """The indices that RL plays, RL validates on, and evaluation plays, by environment and family."""
    return {
        "rl": {found.name: [task.index for task in found.rl] for found in gathered if found.rl},
        "validation": {
            found.name: [task.index for task in found.rl_validation]
            for found in gathered
            if found.rl_validation
        },
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
    return dict(Counter(map(_name, tasks)))


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


def _tell(audit: dict[str, Any], path: Path, seconds: float) -> None:
    for name, rejected in audit["rejected"].items():
        kept, held_back = (audit["counts"][split].get(name, 0) for split in ("train", "validation"))
        passed_over = ", ".join(f"{count} {reason}" for reason, count in rejected.items()) or "none"
        say(f"collect: {name}: {kept} to train, {held_back} to validate; passed over: {passed_over}")
    say(f"collect: {seconds:.0f} s, every reply verified, no problem in two splits")
    say(f"collect: wrote {path}; next: {command_for(path, 'affine sft')}")
