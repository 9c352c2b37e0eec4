"""A small run on disk for tests of the report: everything that a report can show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from affine_trainer.artifacts import stage_folder, write_json, write_jsonl
from affine_trainer.config import Config
from affine_trainer.records import Episode, Grade, Turn
from affine_trainer.report.comparison import compare_evaluations
from affine_trainer.report.episodes import episode_row, group_by_environment
from affine_trainer.report.pairing import read_evaluation
from affine_trainer.report.summary import summarise
from tests.evaluations import episode, episodes

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
MULTI_TURN = "agentgym:webshop@server"


def plays(label: str, solved: int, count: int = 20) -> list[Episode]:
    """SAT tasks of which the first `solved` are solved, one that was not graded, and a game of two turns."""
    single = episodes({"affine:sat@small": [True] * solved + [False] * (count - solved) + [None]})
    single += episodes({"affine:ded@heldout-v1": [solved > 10, False]})
    game = episode(f"{MULTI_TURN}/0", solved > 10)
    turns = [Turn(HOSTILE, "search[mug]", 0.0, 3, {}), Turn("page 1", f"click {HOSTILE}", 0.5, 4, {})]
    why = Grade(float(solved > 10), solved > 10, f"{label}: {HOSTILE}")
    return [replace(play, policy=label) for play in [*single, replace(game, turns=turns, grade=why)]]


def write_model(run: str, label: str, found: Sequence[Episode], config: Config) -> None:
    """logs/{run}/eval/{label} of the current folder, with a policy that does not try beside the model."""
    folder = Path("logs", run, "eval", label)
    trivial = {"all-true": group_by_environment(plays("all-true", 4))}
    with stage_folder("eval", folder, config, reads=("evaluation",), inputs={}, force=True) as stage:
        write_jsonl(folder / "episodes.jsonl", map(episode_row, found))
        usage = {"prompt_tokens": 1200 + len(label), "completion_tokens": 300 + len(label)}
        summary = summarise(group_by_environment(found), config.sampling, trivial)
        write_json(folder / "evaluation.json", {"usage": usage, **summary})
        stage.finish({"seconds": 12.5, "tokens_per_second": 321.0})


def write_comparison(run: str, candidate: str, baselines: Sequence[str], config: Config) -> None:
    """logs/{run}/compare of the current folder, replayed under one rule profile."""
    mine, *others = [read_evaluation(Path("logs", run, "eval", x), x) for x in (candidate, *baselines)]
    results = {x.label: compare_evaluations(mine, x, config.sampling) for x in others}
    against = {x: {"verdict": "wins", "environments_ahead": 2, "environments_behind": 0} for x in baselines}
    order = {"against": against, "shares": {candidate: 0.75}}
    comparison = {
        "schema_version": 1,
        "candidate": {"label": candidate, "folder": f"logs/{run}/eval/{candidate}"},
        "statistics": {**config.sampling.model_dump(mode="json"), "seed": 0},
        "baselines": results,
        "scoring": {"jeffreys-2025-10": {"since": "2025-10", "orders": {"last": order}}},
        "front": {candidate: {"on_front": True, "probability": 0.875}},
    }
    write_json(Path("logs", run, "compare", "comparison.json"), comparison)


def write_run(run: str = "small", config: Config | None = None) -> None:
    """Everything a report can show, in logs/, data/ and models/ of the current folder."""
    config = config or Config(run=run)
    for label, solved in (("base", 5), ("sft", 11), ("rl", 14)):
        write_model(run, label, plays(label, solved), config)
    write_comparison(run, "rl", ("base", "sft"), config)
    path = Path("models", run, "rl_best")
    with stage_folder("rl", path, config, reads=("rl_training",), inputs={}, force=True) as stage:
        stage.finish({"seconds": 80.5, "best_iteration": 0})
    write_jsonl(Path("logs", run, "sft", "events.jsonl"), [_sft_event(step) for step in (10, 20, 30)])
    write_jsonl(Path("logs", run, "rl", "events.jsonl"), [_rl_event(step) for step in (1, 2, 3)])
    write_json(Path("data", run, "audit.json"), AUDIT)
    write_json(Path("logs", run, "audit", "audit.json"), LEAKS)
    write_json(Path("logs", run, "diagnostics", "best-2", "diagnostics.json"), DIAGNOSIS)
    write_json(Path("logs", "experiments", "clip", "experiment.json"), EXPERIMENT)


def _sft_event(step: int) -> dict[str, Any]:
    loss = 30 / step
    return {"step": step, "sft/train_loss": loss, "sft/eval_loss": loss + 0.125, "sft/perplexity": 1 + loss,
            "sft/learning_rate": 1e-3}  # fmt: skip


def _rl_event(step: int) -> dict[str, Any]:
    names = (
        "reward",
        "success",
        "kl_divergence",
        "entropy",
        "clip_fraction",
        "explained_variance",
        "learning_rate",
    )
    metrics = {f"rl/{name}": step / 16 for name in names}
    return {
        "step": step,
        **metrics,
        "rl/tokens": 500.0 * step,
        "time/generate": 1.5 * step,
        "time/update": 0.25,
        "validation/reward": None,
    }


AUDIT = {
    "counts": {"train": {"affine:sat@small": 40}, "evaluation": {"affine:sat@small": 21}},
    "rejected": {"affine:sat@small": {"duplicate": 3}},
    "overlaps": {"train/evaluation": {"keys": 0, "contents": 0}},
}
LEAKS = {
    "verdict": "no leak: none of 21 held-out problems was seen before",
    "leaks": 0,
    "held": [{"place": "logs", "tasks": "affine:sat@small", "problems": 21, "leaks": 0}],
    "findings": [],
}
HISTOGRAM = {"number": 10, "mean": 0.25, "deviation": 1.5, "share_zero": 0.125, "quantiles": [-1, 0, 1],
             "edges": [-1.0, 0.0, 1.0], "counts": [4, 6]}  # fmt: skip
DIAGNOSIS = {
    "episodes": 128,
    "tasks": 32,
    "configured": "group",
    "interval": "jackknife over tasks",
    "gradients": {
        "group": {"task": {name: {"value": value, "lower": 0.0625, "upper": 0.75} for name, value in (
            ("snr", 0.375), ("noise_scale", 2.5), ("squared_norm", 0.5), ("variance", 1.25))}},
        "none": {"silent": "every advantage is 0"},
    },
    "advantages": [
        {"of": of, "step": "all", "outcome": outcome, **HISTOGRAM}
        for of in ("group", "gae")
        for outcome in ("all", "solved", "failed")
    ],
    "values": [],
    "calibration": {
        "fresh_rollouts": 64, "states": 3, "tasks": 2, "cut_off": 0.125, "interval": "bootstrap over tasks",
        "values": {
            of: {"return": "discounted by turn, gamma 0.99", "number": 3, "mean_value": 0.5,
                 "mean_truth": 0.4375, "bias": {"value": 0.0625, "lower": -0.03125, "upper": 0.15625},
                 "rmse": 0.09375, "near": 0.625, "correlation": None, **more, "bins": [
                     {"lower": low, "upper": low + 0.25, "number": 1, "mean_value": low + 0.125,
                      "mean_truth": low} for low in (0.25, 0.5)]}
            for of, more in (("critic", {}), ("monte_carlo", {"rollouts_a_state": 9.0}))
        },
        "rows": [
            {"of": of, "task": "affine:sat@small/1", "turn": 1, "position": 9, "value": value, "truth": 0.5,
             "standard_error": 0.0625, "continuations": 64}
            for of in ("critic", "monte_carlo") for value in (0.25, 0.5, 0.75)
        ],
    },
}  # fmt: skip
EXPERIMENT = {
    "name": "clip",
    "baseline": "plain",
    "interval": "Student's t over seeds",
    "confidence_level": 0.8,
    "tables": [
        {"title": title, "metric": "reward", "rule": "the most that all reached", "rows": {
            "plain": {"mean": 0.5, "lower": 0.4375, "upper": 0.5625, "num_seeds": 3, "difference": None},
            "wide": {"mean": 0.625, "lower": 0.5, "upper": 0.75, "num_seeds": 3,
                     "difference": {"mean": 0.125, "lower": 0.03125, "upper": 0.21875, "p_holm": 0.04}},
        }}
        for title in ("At equal tokens: 1,000 sampled", "At equal time: 60 s of training")
    ],
}  # fmt: skip


def value_at(where: str) -> Any:
    """What stands at a place that the page names: FILE#/json/pointer, FILE#sum:METRIC or FILE#last:METRIC."""
    path, _, pointer = where.partition("#")
    if not pointer.startswith("/"):
        kind, _, metric = pointer.partition(":")
        values = [json.loads(line).get(metric) for line in Path(path).read_text().splitlines()]
        found = [value for value in values if value is not None]
        return sum(found) if kind == "sum" else found[-1]
    value = json.loads(Path(path).read_text(encoding="utf-8"))
    for part in pointer[1:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value
