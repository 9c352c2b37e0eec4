"""Step 4: play the fixed evaluation tasks with a model, keep every episode, and sum them up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich

from affine_trainer import __version__
from affine_trainer.artifacts import (
    append_jsonl,
    command_for,
    data_dir,
    log_dir,
    read_jsonl,
    resume_jsonl,
    stage_folder,
    write_json,
    write_jsonl,
)
from affine_trainer.config import Config
from affine_trainer.device import describe_device
from affine_trainer.errors import AffineError, StageError
from affine_trainer.records import REFILLS, Episode, Policy, Sampling, TaskGroup, TaskSet, sha256_of
from affine_trainer.rules import rules_named
from affine_trainer.stages.evaluated_model import TRAINED, EvaluatedModel, choose_model, open_policy
from affine_trainer.stages.evaluation_event import track
from affine_trainer.tracking import check_tracking, progress, say

if TYPE_CHECKING:
    from affine_trainer.sandbox import Sandbox

# What the episodes depend on besides the model's own folder.
READS = (
    "seed",
    "model",
    "data.prompts",
    "data.affine.environments",
    "data.affine.sat_family",
    "data.affine.programs",
    "data.affine.programs_split",
    "data.agentgym.environments",
    "data.agentgym.base_urls",
    "data.agentgym.rules",
    "data.agentgym.max_reply_tokens",
    "data.agentgym.babyai_levels",
    "data.agentgym.textcraft_depths",
    "data.agentgym.textcraft_recipes",
    "data.custom.environments",
    "evaluation",
    "sampling",
    "sandbox.cpu_seconds",
    "sandbox.wall_seconds",
    "sandbox.memory_mib",
    "sandbox.output_bytes",
)
# The same for a served model, whose own section of the config means nothing but the lengths.
SERVED_READS = (
    *(key for key in READS if key != "model"),
    "model.max_new_tokens",
    "model.max_episode_tokens",
    "endpoint.url",
    "endpoint.model",
)


def evaluate(config: Config, model: str | None = None, *, force: bool = False) -> Path:
    """Evaluate base, sft, rl, a folder or a hub id; returns logs/{run}/eval/{label}.

    Without `model`: what `config.endpoint` serves, else RL's best, else SFT's, else the base. A killed
    evaluation goes on at the first chunk that is not whole, and ends with the same episodes. Raises
    StageError or AffineError.
    """
    began = time.perf_counter()
    chosen = choose_model(config, model)
    check_samples(config)
    path = log_dir(config, "eval", chosen.label)
    reads = SERVED_READS if chosen.served else READS
    with stage_folder(
        "eval", path, config, reads=reads, inputs=_inputs(config, chosen), force=force
    ) as folder:
        if folder.complete:
            say(f"eval: {path} is complete, nothing to do")
            return path
        check_tracking(config)
        from affine_trainer.envs.stage_tasks import open_sandbox

        with open_sandbox(config) as sandbox:
            summary, tokens = _evaluate(config, chosen, path, sandbox)
            device = describe_device() | {"isolation": sandbox.level_reached}
        seconds = time.perf_counter() - began
        # Of this process alone: a resumed evaluation counts from where it went on.
        speed = {"seconds": seconds, "tokens_per_second": tokens / seconds}
        metrics = {**summary["success"], "prompts": summary["total_samples"], **speed}
        folder.finish(metrics, device=device)
        track(config, chosen.label, summary, path)
    _tell(summary, chosen, path, metrics)
    return path


def _inputs(config: Config, chosen: EvaluatedModel) -> dict[str, Path]:
    from affine_trainer.envs.custom import environment_files

    inputs = {"model": chosen.folder} if chosen.folder else {}
    for name in ("prompts", "affine.programs"):
        source = config.data.prompts if name == "prompts" else config.data.affine.programs
        if source and Path(source).expanduser().exists():
            inputs[f"data.{name}"] = Path(source).expanduser()
    return inputs | environment_files(config)


def _evaluate(
    config: Config, chosen: EvaluatedModel, path: Path, sandbox: Sandbox
) -> tuple[dict[str, Any], int]:
    """Play what is left to play; the summary as written, and the tokens sampled by this process."""
    from affine_trainer.envs.stage_tasks import evaluation_tasks
    from affine_trainer.report.episodes import group_by_environment, read_episodes
    from affine_trainer.report.summary import summarise

    groups = evaluation_tasks(config, sandbox)
    if chosen.label in TRAINED:
        check_unseen(data_dir(config), groups)
    with open_policy(config, chosen) as policy:
        trivial = play_trivial(config, groups)
        repeated = [_repeated(group, config.evaluation.samples_per_task) for group in groups]
        tokens = play_groups(config, repeated, policy, path / "episodes.jsonl")
    episodes = read_episodes(path / "episodes.jsonl")
    check_graded(episodes, path)
    summary = summarise(
        group_by_environment(episodes),
        config.sampling,
        {name: group_by_environment(plays) for name, plays in trivial.items()},
        seed=config.seed,
        settings=settings_of(config),
    )
    usage = {
        "prompt_tokens": sum(episode.num_prompt_tokens for episode in episodes),
        "completion_tokens": sum(episode.num_completion_tokens for episode in episodes),
    }
    summary = {"model": {"label": chosen.label, "name": chosen.name}, "usage": usage, **summary}
    write_json(path / "evaluation.json", summary)
    return summary, tokens


def _repeated(group: TaskGroup, samples: int) -> TaskGroup:
    """Every task `samples` times in a row."""
    tasks = [task for task in group.tasks for _ in range(samples)]
    return replace(group, tasks=tasks, samples_per_task=samples)


def check_samples(config: Config) -> None:
    """AffineError where several samples of a task would all be the same."""
    samples = config.evaluation.samples_per_task
    if samples > 1 and temperature_of(config) == 0.0:
        raise AffineError(
            f"evaluation.samples_per_task = {samples} at temperature 0 would give {samples} times the same "
            "reply: set evaluation.temperature, e.g. to 0.7"
        )


def check_unseen(data: Path, groups: Sequence[TaskGroup]) -> None:
    """StageError where SFT has seen a problem of the evaluation, as after raising evaluation.num_samples."""
    asked = {(task.env, task.content_sha256) for group in groups for task in group.tasks}
    for path in (data / "train.jsonl", data / "validation.jsonl"):
        rows = read_jsonl(path, ("environment", "content_sha256")) if path.is_file() else ()
        seen = sum((row["environment"], row["content_sha256"]) in asked for row in rows)
        if seen:
            raise StageError(
                f"{seen} rows of {path} hold problems of this evaluation, so its result would not count: "
                "run `affine collect --force` and train again"
            )


def settings_of(config: Config) -> dict[str, Any]:
    """What a comparison must find equal, or at least name."""
    wanted = config.evaluation
    return {
        "rules": wanted.rules,
        "task_seed": wanted.task_seed,
        "temperature": temperature_of(config),
        "samples_per_task": wanted.samples_per_task,
        "top_p": wanted.top_p,
        "max_new_tokens": config.model.max_new_tokens,
        "max_prompt_tokens": config.model.max_prompt_tokens,
        "max_episode_tokens": config.model.max_episode_tokens,
        "max_rounds": wanted.max_rounds,
    }


def play_groups(config: Config, groups: Sequence[TaskGroup], policy: Policy, path: Path) -> int:
    """Append the episodes that `path` lacks, chunk by chunk; returns the tokens sampled meanwhile."""
    from affine_trainer.report.episodes import episode_row
    from affine_trainer.rollout import play

    size = config.evaluation.batch_size
    refills = 1 if config.endpoint.url else REFILLS  # a server fills its places by itself
    chunks, done = whole_chunks(path, groups, size, refills)
    tokens, played, solved, began = 0, 0, 0, time.perf_counter()

    with progress(
        f"eval {policy.name}", sum(len(group.tasks) for group in groups), unit="tasks", completed=done
    ) as bar:

        def keep(chunk: list[Episode]) -> None:
            nonlocal tokens, played, solved
            for episode in chunk:
                append_jsonl(path, episode_row(episode))
            tokens += sum(episode.num_completion_tokens for episode in chunk)
            played += sum(episode.grade is not None for episode in chunk)
            solved += sum(episode.grade is not None and episode.grade.success for episode in chunk)
            success = f"success {solved / played:.1%}, " if played else ""
            bar.note(f"{success}{tokens / (time.perf_counter() - began):,.0f} tokens/s")
            bar.advance(len(chunk))

        play(
            groups,
            policy,
            sampling_of(config),
            seed=config.seed,
            chunk_size=size,
            refills=refills,
            skip=chunks,
            on_chunk=keep,
        )
    return tokens


def sampling_of(config: Config) -> Sampling:
    """How evaluation asks; the rollout seeds each chunk itself."""
    wanted = config.evaluation
    return Sampling(temperature_of(config), wanted.top_p, config.model.max_new_tokens, seed=0)


def temperature_of(config: Config) -> float:
    """`evaluation.temperature`, or that of the rules where it is null."""
    wanted = config.evaluation
    return rules_named(wanted.rules).temperature if wanted.temperature is None else wanted.temperature


def whole_chunks(
    path: Path, groups: Sequence[TaskGroup], chunk_size: int, refills: int = 1
) -> tuple[int, int]:
    """How many chunks, and episodes, an earlier process left in `path`, which is cut to whole chunks.

    The last ones are cut as well as long as they hold a play that failed: what ended that process, a server
    that went away for one, may have failed them too.
    """
    from affine_trainer.rollout import chunk_plan

    rows = resume_jsonl(path)
    expected, ends, unfailed = list[str](), [0], 0
    for place in chunk_plan(groups, chunk_size, refills):
        keys = [task.key for task in groups[place.group].tasks[place.tasks]]
        if len(expected) + len(keys) > len(rows):
            break
        expected += keys
        ends.append(len(expected))
        if all(row.get("stop_reason") != "error" for row in rows[ends[-2] : ends[-1]]):
            unfailed = len(ends) - 1
    if [row.get("task_key") for row in rows[: len(expected)]] != expected:
        raise StageError(f"{path} holds episodes of other tasks: redo the evaluation with --force")
    if len(rows) > ends[unfailed]:
        write_jsonl(path, rows[: ends[unfailed]])
    return unfailed, ends[unfailed]


def play_trivial(config: Config, groups: Sequence[TaskGroup]) -> dict[str, list[Episode]]:
    """The episodes of every trivial policy by its name, played once a run and kept beside the models'."""
    from affine_trainer.report.episodes import episode_row, read_episodes
    from affine_trainer.rollout import play

    found: dict[str, list[Episode]] = {}
    jobs = [(group, policy) for group in groups for policy in trivial_policies(group.task_set)]
    with progress("eval trivial policies", len(jobs), unit="policies") as bar:
        for group, policy in jobs:
            path = log_dir(config, "eval", "trivial", f"{policy.name}-{trivial_key(config, group)}.jsonl")
            if not path.is_file():
                [episodes] = play(
                    [group],
                    policy,
                    sampling_of(config),
                    seed=config.evaluation.task_seed,
                    chunk_size=config.evaluation.batch_size,
                )
                write_jsonl(path, map(episode_row, episodes))
            found.setdefault(policy.name, []).extend(read_episodes(path))
            bar.advance()
    return found


def trivial_policies(task_set: TaskSet) -> Sequence[Policy]:
    """The trivial policies of an environment: constant or random answers, or players who do not try."""
    from affine_trainer.envs.agents.players import FLOORS
    from affine_trainer.envs.custom import PREFIX
    from affine_trainer.policies.scripted import SAYS_NOTHING, TRIVIAL_POLICIES

    if task_set.env.startswith(PREFIX):
        return (SAYS_NOTHING,)
    return TRIVIAL_POLICIES[task_set.env] if task_set.max_turns == 1 else FLOORS


def trivial_key(config: Config, group: TaskGroup) -> str:
    """What a trivial policy's episodes depend on: the tasks, the rules, the sandbox's limits, the version."""
    from affine_trainer.envs.custom import PREFIX, file_digest

    tasks = [(task.key, task.content_sha256, [m.content for m in task.prompt]) for task in group.tasks]
    limits = config.sandbox.model_dump(exclude={"workers"})
    evaluation = config.evaluation.model_dump(include={"rules", "task_seed", "batch_size"})
    turns = [group.task_set.max_turns] if group.task_set.max_turns > 1 else []
    env = group.task_set.env
    own = [file_digest(env, config)] if env.startswith(PREFIX) else []
    return sha256_of([__version__, tasks, limits, evaluation, *turns, *own])[:12]


def check_graded(episodes: Sequence[Episode], path: Path) -> None:
    """StageError where not one task of an environment could be graded: that is no result."""
    from affine_trainer.report.episodes import group_by_environment

    for environment, plays in group_by_environment(episodes).items():
        if all(episode.grade is None for episode in plays):
            raise StageError(
                f"not one task of {environment} could be graded; the first says: {plays[0].error} "
                f"(see {path / 'episodes.jsonl'}); repair that and run again with --force"
            )


def _tell(summary: dict[str, Any], chosen: EvaluatedModel, path: Path, metrics: dict[str, Any]) -> None:
    from affine_trainer.report.tables import evaluation_table

    rich.get_console().print(evaluation_table(summary, f"eval: {chosen.label} ({chosen.name})"))
    say(f"eval: {metrics['seconds']:.0f} s, {metrics['tokens_per_second']:,.0f} tokens/s")
    if chosen.served:
        usage = summary["usage"]
        say(
            f"eval: usage {usage['prompt_tokens']:,} prompt, {usage['completion_tokens']:,} completion tokens"
        )
    say(f"eval: wrote {path / 'evaluation.json'} and {path / 'episodes.jsonl'}; next: {_next(chosen, path)}")


def _next(chosen: EvaluatedModel, path: Path) -> str:
    following = {"base": "affine eval --model sft", "sft": "affine eval --model rl", "rl": "affine compare"}
    return command_for(path, following.get(chosen.label, f"affine compare {chosen.label} base"))
