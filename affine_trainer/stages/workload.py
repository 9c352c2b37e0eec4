"""How much work each stage of a config is, in seconds of the machine that costs.json was measured on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import ceil
from statistics import fmean
from typing import Any, Literal

from affine_trainer.artifacts import data_dir
from affine_trainer.config import Config
from affine_trainer.memory import PlayedRows, architecture_of
from affine_trainer.policies.model_names import model_path
from affine_trainer.records import REFILLS

Kind = Literal["programs", "training", "evaluation"]
EVALUATED = ("base", "sft", "rl")
PROGRAM_ENVIRONMENTS = ("affine:abd", "affine:ded")  # those with families that are never trained on


@dataclass(frozen=True, slots=True)
class BarWork:
    """The work behind one progress bar: runs of (count, seconds each) in the order of play."""

    description: str
    kind: Kind
    segments: tuple[tuple[int, float], ...]

    @property
    def count(self) -> int:
        return sum(count for count, _ in self.segments)

    @property
    def seconds(self) -> float:
        return sum(count * each for count, each in self.segments)

    def seconds_of(self, done: int, total: int | None) -> float:
        """The work in the first `done` of `total`, which may differ from the expected count."""
        left = done * self.count / total if total else float(min(done, self.count))
        spent = 0.0
        for count, each in self.segments:
            taken = min(left, count)
            spent, left = spent + taken * each, left - taken
        return spent


@dataclass(frozen=True, slots=True)
class Work:
    """One stage: what mainly takes its time, the seconds outside of its bars, and the bars."""

    stage: str
    kind: Kind
    start: float
    bars: tuple[BarWork, ...]

    def bar(self, description: str) -> BarWork | None:
        """The bar of that name; None for others, such as the plays within an iteration."""
        return next((bar for bar in self.bars if bar.description == description), None)

    @property
    def seconds(self) -> float:
        return self.start + sum(bar.seconds for bar in self.bars)


@lru_cache(1)
def measured_costs() -> dict[str, Any]:
    """costs.json, made by `python benchmarks/time_estimate.py costs`."""
    return json.loads((files("affine_trainer.stages") / "costs.json").read_text())


def workload(config: Config, costs: Mapping[str, Any] | None = None) -> list[Work]:
    """The stages of `affine run` in their order."""
    costs = measured_costs() if costs is None else costs
    scale = _model_scale(config, costs)
    return [
        _collect(config, costs["collect"]),
        _sft(config, costs["sft"], scale),
        _rl(config, costs, scale),
        *(_evaluation(config, label, costs["eval"], scale) for label in EVALUATED),
        Work("compare", "programs", costs["compare"]["start"], ()),
    ]


def cost_of(costs: Mapping[str, float], env: str) -> float:
    """What was measured of an environment; of one of the user's own nothing was: the mean of the others."""
    return costs[env] if env in costs else fmean(costs.values())


def _model_scale(config: Config, costs: Mapping[str, Any]) -> float:
    """How many times the parameters of the measured model; 1 where the sizes cannot be known."""
    found = architecture_of(model_path(config.model.name))
    return found.num_parameters / costs["parameters"] if found else 1.0


def _collect(config: Config, costs: Mapping[str, Any]) -> Work:
    from affine_trainer.stages.collect import quotas

    envs = config.data.environments
    wanted = zip(envs, quotas(config, envs), strict=True)
    segments = tuple((quota.total, cost_of(costs["task"], env)) for env, quota in wanted)
    return Work("collect", "programs", costs["start"], (BarWork("collect", "programs", segments),))


def _sft(config: Config, costs: Mapping[str, Any], scale: float) -> Work:
    """Steps cost what their tokens do; validations come every `eval_steps` and after the last."""
    training = config.training
    rows, tokens = _sft_rows(config, costs)
    steps = training.num_epochs * ceil(rows["train"] / (training.batch_size * _accumulated(config)))
    validations = ceil(steps / training.eval_steps)
    seconds = scale * (
        training.num_epochs * tokens["train"] * costs["token"]
        + validations * tokens["validation"] * costs["validation_token"]
    )
    return Work("sft", "training", costs["start"], (BarWork("sft", "training", ((steps, seconds / steps),)),))


def _accumulated(config: Config) -> int:
    return config.training.gradient_accumulation_steps


def _sft_rows(config: Config, costs: Mapping[str, Any]) -> tuple[dict[str, int], Mapping[str, float]]:
    """Rows and tokens of both splits: counted by collect where it is done, else as its quotas say."""
    from affine_trainer.stages.collect import quotas

    lengths = dict(costs["tokens"])
    audit = _audit(config)
    if audit:
        counts = {split: audit["counts"][split] for split in ("train", "validation")}
        for name, found in audit["tokens"].items():
            lengths[name] = found["prompt"]["mean"] + found["completion"]["mean"]
    else:
        envs = config.data.environments
        wanted = dict(zip(envs, quotas(config, envs), strict=True))
        counts = {
            "train": {env: quota.train for env, quota in wanted.items()},
            "validation": {env: quota.validation for env, quota in wanted.items()},
        }
    rows = {split: max(1, sum(found.values())) for split, found in counts.items()}
    tokens = {
        split: sum(n * cost_of(lengths, env) for env, n in found.items()) for split, found in counts.items()
    }
    return rows, tokens


def _audit(config: Config) -> dict[str, Any] | None:
    try:
        audit = json.loads((data_dir(config) / "audit.json").read_bytes())
        return audit if {"counts", "tokens"} <= audit.keys() else None
    except (OSError, ValueError):
        return None


def _rl(config: Config, costs: Mapping[str, Any], scale: float) -> Work:
    """An iteration plays its batch, scores what is learned from, and passes over it `ppo_epochs` times."""
    from affine_trainer.envs.stage_tasks import practice_weights

    rl, found = config.rl_training, costs["rl"]
    envs, each = config.data.environments, costs["eval"]["episode"]["trained"]
    weights = practice_weights(envs, config)
    mean = sum(w * cost_of(each, env) for w, env in zip(weights, envs, strict=True)) / sum(weights)
    learn = rl.rollout_batch_size * (1 + rl.ppo_epochs) * found["learn"]
    validation = max(rl.validation_samples, len(envs)) * mean * found["validation_factor"]
    played = [sum(n * cost_of(each, env) for env, n in drawn.items()) for drawn in played_episodes(config)]
    iterations = [found["play_factor"] * seconds + learn for seconds in played]
    iterations[0] += validation  # the one before the first iteration; an iteration's own comes behind it
    for finished in range(rl.validation_frequency, rl.num_rollouts, rl.validation_frequency):
        iterations[finished] += validation
    iterations[-1] += validation
    segments = tuple((1, scale * seconds) for seconds in iterations)
    return Work("rl", "training", found["start"], (BarWork("rl", "training", segments),))


def played_episodes(config: Config) -> list[dict[str, int]]:
    """How many episodes each iteration of RL plays of each environment."""
    from affine_trainer.envs.stage_tasks import practice_weights
    from affine_trainer.learning.task_mix import LEAST_TASKS, TaskMix

    rl, envs = config.rl_training, config.data.environments
    weights = {env: share for env, share in zip(envs, practice_weights(envs, config), strict=True) if share}
    size = round(rl.oversampling * rl.rollout_batch_size / rl.samples_per_task)
    mix = TaskMix({env: () for env in weights}, weights, batch_size=size, seed=config.seed, least=LEAST_TASKS)
    drawn = map(mix.positions, range(rl.num_rollouts))
    return [{env: rl.samples_per_task * len(tasks) for env, tasks in found.items()} for found in drawn]


def played_rows(config: Config) -> PlayedRows:
    """The most that RL plays of long and short episodes; prompts as long as the collected ones, if any."""
    played, audit = played_episodes(config), _audit(config)
    short = [n for drawn in played for env, n in drawn.items() if env.startswith("affine:")]
    long = [sum(n for env, n in drawn.items() if not env.startswith("affine:")) for drawn in played]
    prompts = [
        int(found["prompt"]["max"])
        for name, found in (audit["tokens"].items() if audit else ())
        if name.startswith("affine:")
    ]
    return PlayedRows(max(long), max(short, default=0), max(prompts, default=config.model.max_prompt_tokens))


def _evaluation(config: Config, label: str, costs: Mapping[str, Any], scale: float) -> Work:
    """The chunks in their order: each environment's first, each one's second, and so on."""
    wanted, size = config.evaluation, config.evaluation.batch_size
    each = costs["episode"]["base" if label == "base" else "trained"]
    envs = config.data.environments
    groups = [
        (env, wanted.num_samples if env.startswith("affine:") else wanted.agent_samples) for env in envs
    ]
    if config.data.affine.programs == "generated":
        groups += [(env, wanted.unseen_family_samples) for env in PROGRAM_ENVIRONMENTS if env in envs]
    groups = [(env, count * wanted.samples_per_task) for env, count in groups]
    sizes = [size * (REFILLS if env.startswith("affine:") else 1) for env, _ in groups]
    chunks = [
        (number, place, min(sizes[place], count - number * sizes[place]), env)
        for place, (env, count) in enumerate(groups)
        for number in range(ceil(count / sizes[place]))
    ]
    segments = tuple((count, scale * cost_of(each, env)) for _, _, count, env in sorted(chunks))
    bars = [BarWork(f"eval {label}", "evaluation", segments)]
    if label == EVALUATED[0]:  # they are played once a run
        policies = [count * cost_of(costs["trivial"], env) for env, count in groups]
        segments = tuple((2, seconds) for seconds in policies)
        bars.insert(0, BarWork("eval trivial policies", "programs", segments))
    return Work(f"eval {label}", "evaluation", costs["start"], tuple(bars))
