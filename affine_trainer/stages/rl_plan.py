"""`affine rl --dry-run`: what the run would play, learn, need and take, without training."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import rich
from rich.table import Table

from affine_trainer.config import Config
from affine_trainer.device import describe_device, usable_ram
from affine_trainer.memory import architecture_of, estimates
from affine_trainer.policies.model_names import model_path
from affine_trainer.stages.rl import beforehand, check_start, open_trainer, read_practice
from affine_trainer.stages.workload import played_rows
from affine_trainer.tracking import say

if TYPE_CHECKING:
    from affine_trainer.learning.practice import Practice
    from affine_trainer.learning.probe import Probe


def plan(config: Config, *, as_json: bool = False) -> dict[str, Any]:
    """Print (and return) the plan of `affine rl`; tokens and seconds are estimates from a small real sample.

    Writes nothing that stays. Raises what the run itself would raise at its start.
    """
    from affine_trainer.envs.stage_tasks import open_sandbox

    check_start(config)
    with redirect_stdout(sys.stderr) if as_json else nullcontext(), open_sandbox(config) as sandbox:
        from affine_trainer.learning.probe import measure

        practice = read_practice(config, sandbox)
        say("rl: measuring a small sample: a few episodes of every environment, and two optimiser steps")
        with TemporaryDirectory(prefix="affine-plan-") as scratch:
            found = measure(config, practice, open_trainer, Path(scratch))
    report = planned(config, practice, found)
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        _show(report)
    return report


def planned(config: Config, practice: Practice, probe: Probe) -> dict[str, Any]:
    """The plan as JSON types; a curriculum's pairs are first and last values."""
    from affine_trainer.learning.ppo_loop import steps_per_iteration
    from affine_trainer.learning.probe import tasks_an_iteration

    rl = config.rl_training
    wanted = tasks_an_iteration(practice, config)
    num_played = sum(wanted.values()) * rl.samples_per_task
    environments = {
        name: _environment(name, wanted[name], config, practice) | {"sampled": asdict(probe.costs[name])}
        for name in practice.tasks
    }
    sample = f"{probe.num_episodes} episodes of the fine-tuned model"
    between = range(rl.validation_frequency, rl.num_rollouts, rl.validation_frequency)
    validations = len(between) + 2  # before the first iteration, and after the last
    return {
        "run": config.run,
        "iterations": rl.num_rollouts,
        "episodes": {
            "played": round(num_played * rl.num_rollouts),
            "learned_from": rl.rollout_batch_size * rl.num_rollouts,
            "validation": validations * sum(map(len, practice.validation.values())),
        },
        "optimiser_steps": rl.num_rollouts * steps_per_iteration(rl),
        "validations": validations,
        "environments": environments,
        "continuations": _continuations(config, probe),
        "tokens": _tokens(config, environments, probe) | {"estimated_from": sample},
        "schedules": _schedules(config),
        "curriculum": _curriculum(config, practice),
        "memory": _memory(config),
        "seconds": _seconds(config, practice, probe, wanted, validations)
        | {"estimated_from": f"{sample} and an optimiser step on this machine"},
        "notes": list(practice.notes),
        "beforehand": beforehand(rl),
    }


def _environment(name: str, tasks: float, config: Config, practice: Practice) -> dict[str, Any]:
    rl, pool = config.rl_training, len(practice.tasks[name])
    return {
        "tasks": pool,
        "tasks_an_iteration": tasks,
        "episodes": round(tasks * rl.samples_per_task * rl.num_rollouts),
        "times_each_task": tasks * rl.num_rollouts / pool,
        "validation_tasks": len(practice.validation.get(name, ())),
    }


def _continuations(config: Config, probe: Probe) -> dict[str, Any] | None:
    """The plays of the whole run that value states; None where advantages are not made of them."""
    rl, found = config.rl_training, probe.continuations
    if found is None:
        return None
    episodes = rl.num_rollouts * rl.rollout_batch_size
    return {
        "an_episode": found.number,
        "played": round(episodes * found.number),
        "read": round(episodes * found.read_tokens),
        "sampled": round(episodes * found.sampled_tokens),
    }


def _tokens(config: Config, environments: Mapping[str, Any], probe: Probe) -> dict[str, int]:
    """Over all episodes to learn from and their continuations: shared readings count for each of them."""
    beside = _continuations(config, probe) or {}
    return {
        kind: round(sum(found["episodes"] * found["sampled"][key] for found in environments.values()))
        + beside.get(kind, 0)
        for kind, key in (("read", "prompt_tokens"), ("sampled", "completion_tokens"))
    }


def _schedules(config: Config) -> dict[str, tuple[float, float, float]]:
    """Of each: at first, at most, at last."""
    from affine_trainer.learning.ppo_loop import steps_per_iteration
    from affine_trainer.learning.schedules import entropy_coefficient, kl_coefficient, learning_rate_factor

    rl = config.rl_training
    total = rl.num_rollouts * steps_per_iteration(rl)
    rate = learning_rate_factor(rl, total)
    scaled = {
        "learning_rate": (rl.learning_rate, rate),
        "critic_learning_rate": (rl.critic_learning_rate, rate),
        "entropy_coefficient": (1.0, entropy_coefficient(rl, total)),
        "kl_coefficient": (1.0, kl_coefficient(rl, total)),
    }
    return {
        name: (
            scale * schedule(0),
            scale * max(map(schedule, range(total))),
            scale * schedule(total - 1),
        )
        for name, (scale, schedule) in scaled.items()
    }


def _curriculum(config: Config, practice: Practice) -> dict[str, Any] | None:
    found, last = practice.curriculum, config.rl_training.num_rollouts - 1
    if found is None:
        return None
    return {
        "schedule": config.rl_training.curriculum_schedule,
        "limit": [found.metrics(iteration)["rl/curriculum_limit"] for iteration in (0, last)],
        "tasks": {name: [found.num_open(name, n) for n in (0, last)] for name in practice.tasks},
    }


def _memory(config: Config) -> dict[str, Any] | None:
    """The arithmetic of `affine doctor`; None where the model's sizes cannot be known."""
    device = describe_device()
    model = architecture_of(model_path(config.model.name))
    if model is None:
        return None
    on_gpu = device["type"] == "cuda"
    needs = estimates(config, model, on_gpu=on_gpu, played=played_rows(config))
    need = next(need for need in needs if need.stage == "rl")
    available = device["memory_bytes"] if on_gpu else usable_ram()
    return {"needed_bytes": need.total, "available_bytes": available, "device": device["name"]}


def _seconds(
    config: Config, practice: Practice, probe: Probe, wanted: Mapping[str, float], validations: int
) -> dict[str, Any]:
    from affine_trainer.learning.ppo_loop import steps_per_iteration

    rl, seconds = config.rl_training, {name: cost.seconds for name, cost in probe.costs.items()}
    play = sum(wanted[name] * rl.samples_per_task * seconds[name] for name in wanted)
    score = probe.score_seconds * rl.rollout_batch_size
    values = (probe.continuations.seconds if probe.continuations else 0.0) * rl.rollout_batch_size
    update = probe.update_seconds * steps_per_iteration(rl)
    dearest = max(seconds.values())
    validation = sum(len(tasks) * seconds.get(name, dearest) for name, tasks in practice.validation.items())
    iteration = play + values + score + update
    return {
        "play": play,
        "values": values,
        "score": score,
        "update": update,
        "iteration": iteration,
        "validation": validation,
        "total": rl.num_rollouts * iteration + validations * validation,
    }


def _show(report: Mapping[str, Any]) -> None:
    console = rich.get_console()
    console.print(_table(report))
    say("drawn: tasks an iteration; times: how often each is in the run; prompt, reply: tokens an episode")
    episodes, tokens, seconds = report["episodes"], report["tokens"], report["seconds"]
    say(
        f"\n{report['iterations']} iterations: {episodes['played']:,} episodes played, "
        f"{episodes['learned_from']:,} learned from, {report['optimiser_steps']:,} optimiser steps; "
        f"{report['validations']} validations, {episodes['validation']:,} episodes"
    )
    if beside := report["continuations"]:
        say(
            f"{beside['played']:,} continuations value states, {beside['an_episode']:.1f} an episode; of the "
            f"tokens below they sample {beside['sampled']:,} and read {beside['read']:,}"
        )
    say(
        f"tokens, an estimate from {tokens['estimated_from']}: {tokens['sampled']:,} sampled, "
        f"{tokens['read']:,} read"
    )
    for name, (first, highest, last) in report["schedules"].items():
        say(f"{name}: {first:.3g} at first, {highest:.3g} at most, {last:.3g} at last")
    if report["curriculum"]:
        first, last = report["curriculum"]["limit"]
        say(f"curriculum ({report['curriculum']['schedule']}): {first:g} rounds at first, {last:g} at last")
    values = f"values {_duration(seconds['values'])}, " if beside else ""
    memory = report["memory"]
    if memory:
        needed, available = (memory[key] / 2**30 for key in ("needed_bytes", "available_bytes"))
        say(f"memory, an estimate: {needed:,.1f} GiB of {available:,.1f} GiB ({memory['device']})")
    else:
        say("memory: no estimate, since the model's sizes cannot be known from here")
    say(
        f"time, an estimate from {seconds['estimated_from']}: {_duration(seconds['total'])} in all; an "
        f"iteration {_duration(seconds['iteration'])} (play {_duration(seconds['play'])}, {values}score "
        f"{_duration(seconds['score'])}, update {_duration(seconds['update'])}), a validation "
        f"{_duration(seconds['validation'])}"
    )
    for line in (*(f"note: {note}" for note in report["notes"]), *report["beforehand"]):
        say(line)


def _table(report: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("environment", no_wrap=True)
    for heading in ("tasks open", "drawn", "times", "prompt", "reply", "turns"):
        table.add_column(heading, justify="right", no_wrap=True)
    opened = report["curriculum"]["tasks"] if report["curriculum"] else {}
    for name, found in report["environments"].items():
        first, last = opened.get(name, (found["tasks"], found["tasks"]))
        sampled = found["sampled"]
        table.add_row(
            name,
            f"{first}" if first == last else f"{first}..{last}",
            f"{found['tasks_an_iteration']:.1f}",
            f"{found['times_each_task']:.2f}",
            *(f"{sampled[key]:.0f}" for key in ("prompt_tokens", "completion_tokens")),
            f"{sampled['turns']:.1f}",
        )
    return table


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
