"""How good the time estimate of `affine status` is: record a run, measure its costs, replay the estimate.

    affine run --json > run.jsonl                                      a recording
    python benchmarks/time_estimate.py thin run.jsonl > thin.jsonl     what of it is read, every eight seconds
    python benchmarks/time_estimate.py record FOLDER LOG > run.jsonl   one from a finished run's console log
    python benchmarks/time_estimate.py costs FOLDER run.jsonl > affine_trainer/stages/costs.json
    python benchmarks/time_estimate.py replay run.jsonl ...            the error after each tenth of the run

`costs` and `replay` are of the config that the run was made with; FOLDER holds data/, models/ and logs/.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from affine_trainer.artifacts import LiveBar, read_jsonl
from affine_trainer.config import Config
from affine_trainer.memory import architecture_of
from affine_trainer.policies.model_names import model_path
from affine_trainer.stages.forecast import Seen, forecast
from affine_trainer.stages.workload import EVALUATED, measured_costs, played_episodes, workload

LINE = re.compile(
    r"(?P<bar>[a-z ]+): (?P<done>\d+)/(?P<total>\d+) \(\d+%\), (?P<rate>[\d.,]+) (?P<unit>\w+)/s"
)
SECONDS_BETWEEN = 8.0
BAR_FIELDS = [field.name for field in fields(LiveBar)]
FINISHED = {
    "collect": "data/{run}",
    "sft": "models/{run}/sft_final",
    "rl": "models/{run}/rl_best",
    **{f"eval {label}": f"logs/{{run}}/eval/{label}" for label in EVALUATED},
    "compare": "logs/{run}/compare",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    record_ = commands.add_parser("record")
    record_.add_argument("folder", type=Path)
    record_.add_argument("log", type=Path)
    record_.add_argument("--run", default="default")
    thin_ = commands.add_parser("thin")
    thin_.add_argument("recording", type=Path)
    costs_ = commands.add_parser("costs")
    costs_.add_argument("folder", type=Path)
    costs_.add_argument("recording", type=Path)
    replay_ = commands.add_parser("replay")
    replay_.add_argument("recordings", type=Path, nargs="+")
    replay_.add_argument("--costs", type=Path, help="instead of the package's")
    chosen = parser.parse_args()
    if chosen.command == "record":
        for event in record(chosen.folder, chosen.log, chosen.run):
            print(json.dumps(event))
    elif chosen.command == "thin":
        for event in thin(read_recording(chosen.recording)):
            print(json.dumps(event))
    elif chosen.command == "costs":
        print(json.dumps(costs_of(chosen.folder, read_recording(chosen.recording)), indent=2))
    else:
        costs = json.loads(chosen.costs.read_text()) if chosen.costs else None
        for path in chosen.recordings:
            show(path, replay(read_recording(path), costs))


def read_recording(path: Path) -> list[dict[str, Any]]:
    """The stage and progress events of a run, `at` seconds from its first one; the config comes first."""
    events = [e for e in read_jsonl(path, ("event",)) if e["event"] in ("run", "stage", "progress")]
    if events and "at" not in events[-1]:
        times = [datetime.fromisoformat(event["time"]).timestamp() for event in events]
        events = [{**event, "at": time - times[0]} for event, time in zip(events, times, strict=True)]
    return events


def thin(events: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The events with the fields that are replayed; of a bar's one in eight seconds, and its last."""
    shown = dict[str, float]()
    for place, event in enumerate(events):
        at, bar = event["at"], event.get("description")
        if bar:
            later = (other["done"] for other in events[place + 1 :] if other.get("description") == bar)
            if next(later, 0) > event["done"] and at - shown.get(bar, -SECONDS_BETWEEN) < SECONDS_BETWEEN:
                continue
            shown[bar] = at
        kept = ("event", "stage", "state", "config", "description", "unit", "total", "before", "done")
        rounded = {name: round(event[name], 2) for name in ("at", "seconds") if name in event}
        yield {name: event[name] for name in kept if name in event} | rounded


def record(folder: Path, log: Path, run: str) -> Iterator[dict[str, Any]]:
    """The events of a finished run as `affine run --json` would have written them.

    When a stage ended is the time of its manifest; sft and rl give the time of every step themselves; of the
    others the console log has a line about every ten seconds.
    """
    ends = {
        stage: (folder / path.format(run=run) / "manifest.json").stat().st_mtime
        for stage, path in FINISHED.items()
    }
    zero = previous = (folder / "data").stat().st_mtime
    if took := re.search(r"affine run · done in (\d+) s", log.read_text()):
        ends["compare"] = min(ends["compare"], zero + int(took[1]))  # it may have been redone since
    config = json.loads((folder / FINISHED["compare"].format(run=run) / "manifest.json").read_text())[
        "config"
    ]
    lines = [found.groupdict() for line in log.read_text().splitlines() if (found := LINE.match(line))]
    yield {"event": "run", "at": 0.0, "config": config}
    for stage, end in ends.items():
        yield {"event": "stage", "at": round(previous - zero, 2), "stage": stage, "state": "started"}
        found = [line for line in lines if line["bar"] == stage or (line["bar"], stage) == TRIVIAL]
        if stage in ("sft", "rl"):
            yield from _from_events(
                folder / "logs" / run / stage / "events.jsonl", stage, found[-1], zero, previous - zero
            )
        else:
            yield from _from_lines(found, end - zero)
        yield {"event": "stage", "at": round(end - zero, 2), "stage": stage, "state": "finished"}
        previous = end


TRIVIAL = ("eval trivial policies", f"eval {EVALUATED[0]}")


def _from_events(
    path: Path, stage: str, last: Mapping[str, str], zero: float, begun: float
) -> Iterator[dict[str, Any]]:
    for event in read_jsonl(path, ("time", "step")):
        at = datetime.fromisoformat(event["time"]).timestamp() - zero
        yield _progress(at, stage, event["step"], last, event.get("sft/seconds", at - begun))


def _from_lines(lines: Sequence[Mapping[str, str]], end: float) -> Iterator[dict[str, Any]]:
    """The time of a line is what was done by the rate; the last bar ends with its stage."""
    elapsed = [int(line["done"]) / float(line["rate"].replace(",", "")) for line in lines]
    bars = list(dict.fromkeys(line["bar"] for line in lines))
    lasts = [max(s for s, line in zip(elapsed, lines, strict=True) if line["bar"] == bar) for bar in bars]
    begins = {bar: end - sum(lasts[place:]) for place, bar in enumerate(bars)}
    for line, seconds in zip(lines, elapsed, strict=True):
        yield _progress(begins[line["bar"]] + seconds, line["bar"], int(line["done"]), line, seconds)


def _progress(at: float, bar: str, done: int, line: Mapping[str, str], seconds: float) -> dict[str, Any]:
    described = {"description": bar, "unit": line["unit"], "total": int(line["total"]), "before": 0}
    return {"event": "progress", "at": round(at, 2), **described, "done": done, "seconds": round(seconds, 2)}


def costs_of(folder: Path, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What costs.json holds: seconds by unit of work, from one run of one machine."""
    config = Config.model_validate_json(json.dumps(events[0]["config"]))
    architecture = architecture_of(model_path(config.model.name))
    assert architecture is not None
    spans = stage_spans(events)
    audit = json.loads((folder / "data" / config.run / "audit.json").read_text())
    evaluation = _evaluation_costs(folder, config, events, spans)
    return {
        "made_by": "python benchmarks/time_estimate.py costs",
        "model": config.model.name,
        "parameters": architecture.num_parameters,
        "collect": _collect_costs(config, events, spans["collect"]),
        "sft": _sft_costs(folder, config, audit, spans["sft"]),
        "rl": _rl_costs(folder, config, evaluation["episode"]["trained"], spans["rl"]),
        "eval": evaluation,
        "compare": {"start": _rounded(spans["compare"][1] - spans["compare"][0])},
    }


def stage_spans(events: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    """When each stage began and ended."""
    at = {(e["stage"], e["state"]): e["at"] for e in events if e["event"] == "stage"}
    return {stage: (at[stage, "started"], at[stage, "finished"]) for stage in FINISHED}


def bar_points(events: Sequence[Mapping[str, Any]], bar: str) -> list[tuple[float, int]]:
    return [(e["at"], e["done"]) for e in events if e["event"] == "progress" and e["description"] == bar]


def _collect_costs(
    config: Config, events: Sequence[Mapping[str, Any]], span: tuple[float, float]
) -> dict[str, Any]:
    """Seconds a task by environment: when the count passed the end of each, between the points there are."""
    from affine_trainer.stages.collect import quotas

    points = bar_points(events, "collect")
    began = _begin(points)
    envs, done, before, found = config.data.environments, 0, began, {}
    for env, quota in zip(envs, quotas(config, envs), strict=True):
        done += quota.total
        at = _when([(began, 0), *points], done)
        found[env], before = _rounded((at - before) / quota.total), at
    return {"start": _rounded(began - span[0]), "task": found}


def _begin(points: Sequence[tuple[float, int]]) -> float:
    """When the bar began, by the pace of its first points, which are taken ten seconds after."""
    at, done = points[0]
    return at if done == 0 else at - 10.2


def _when(points: Sequence[tuple[float, int]], done: int) -> float:
    for (at, count), (later, more) in pairwise(points):
        if count <= done <= more and more > count:
            return at + (later - at) * (done - count) / (more - count)
    return points[-1][0]


def _sft_costs(
    folder: Path, config: Config, audit: Mapping[str, Any], span: tuple[float, float]
) -> dict[str, Any]:
    """`token` and `validation_token`: seconds of training and of validating, by the trainer's clock."""
    metrics = json.loads((folder / "logs" / config.run / "sft" / "manifest.json").read_text())["metrics"]
    lengths = {
        name.partition("@")[0]: found["prompt"]["mean"] + found["completion"]["mean"]
        for name, found in audit["tokens"].items()
    }
    training_seconds = metrics["tokens"] / metrics["tokens_per_second"]
    validations = -(-metrics["steps"] // config.training.eval_steps)
    held_back = audit["counts"]["validation"]
    tokens = sum(count * lengths[name.partition("@")[0]] for name, count in held_back.items())
    return {
        "start": _rounded(span[1] - span[0] - metrics["seconds"]),
        "token": _rounded(training_seconds / metrics["tokens"]),
        "validation_token": _rounded((metrics["seconds"] - training_seconds) / (validations * tokens)),
        "tokens": {name: round(length, 1) for name, length in lengths.items()},
    }


def _rl_costs(
    folder: Path, config: Config, episode: Mapping[str, float], span: tuple[float, float]
) -> dict[str, Any]:
    """Plays relative to those of evaluation, which are greedy and larger batches, and seconds to learn."""
    from affine_trainer.envs.stage_tasks import practice_weights

    rl, envs = config.rl_training, config.data.environments
    rows = list(read_jsonl(folder / "logs" / config.run / "rl" / "events.jsonl"))
    iterations = [row for row in rows if "time/iteration" in row]
    validations = [row["time/validation"] for row in rows if "time/validation" in row]
    weights = practice_weights(envs, config)
    plays = fmean(sum(n * episode[env] for env, n in drawn.items()) for drawn in played_episodes(config))
    mean = sum(w * episode[env] for w, env in zip(weights, envs, strict=True)) / sum(weights)
    played = fmean(row["time/generate"] + row["time/grade"] for row in iterations)
    learned = fmean(row["time/score"] + row["time/update"] for row in iterations)
    spent = sum(row["time/iteration"] for row in iterations) + sum(validations)
    return {
        "start": _rounded(span[1] - span[0] - spent),
        "play_factor": _rounded(played / plays),
        "learn": _rounded(learned / (rl.rollout_batch_size * (1 + rl.ppo_epochs))),
        "validation_factor": _rounded(fmean(validations) / (rl.validation_samples * mean)),
    }


def _evaluation_costs(
    folder: Path,
    config: Config,
    events: Sequence[Mapping[str, Any]],
    spans: Mapping[str, tuple[float, float]],
) -> dict[str, Any]:
    """Seconds an episode by environment: what the episodes say, scaled to what the whole took."""
    logs = folder / "logs" / config.run / "eval"
    seconds = {label: _by_environment([logs / label / "episodes.jsonl"]) for label in EVALUATED}
    trivial = _by_environment(sorted((logs / "trivial").glob("*.jsonl")))
    bars = {}
    for label in EVALUATED:
        points = bar_points(events, f"eval {label}")
        bars[label] = points[-1][0] - _begin(points)
    first = spans["eval base"]  # the later ones find the policies' episodes there
    points = [point for point in bar_points(events, TRIVIAL[0]) if point[0] <= first[1]]
    last = spans["eval rl"]
    return {
        "start": _rounded(last[1] - last[0] - bars["rl"]),
        "episode": {
            "base": _scaled(seconds["base"], bars["base"]),
            "trained": _scaled(seconds["rl"], bars["rl"]),
        },
        "trivial": _scaled(trivial, points[-1][0] - _begin(points)),
    }


def _by_environment(paths: Sequence[Path]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for path in paths:
        for row in read_jsonl(path, ("task_key", "seconds")):
            found[row["task_key"].partition("@")[0]].append(row["seconds"])
    return found


def _scaled(seconds: Mapping[str, Sequence[float]], total: float) -> dict[str, float]:
    factor = total / sum(map(sum, seconds.values()))
    return {env: _rounded(factor * fmean(found)) for env, found in sorted(seconds.items())}


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def replay(
    events: Sequence[Mapping[str, Any]], costs: Mapping[str, Any] | None = None
) -> list[tuple[float, float, float]]:
    """After each tenth of the run: the share that is over, the seconds left, and those that were estimated.

    Each estimate sees what had been written by then.
    """
    config = Config.model_validate_json(json.dumps(events[0]["config"]))
    works, end = workload(config, costs or measured_costs()), events[-1]["at"]
    found = []
    for tenth in range(10):
        now = end * tenth / 10
        estimate = forecast(works, seen_by(events, now)).total
        found.append((tenth / 10, end - now, estimate))
    return found


def seen_by(events: Sequence[Mapping[str, Any]], now: float) -> dict[str, Seen]:
    """What `affine status` would have known at that time."""
    started: dict[str, float] = {}
    seen: dict[str, Seen] = {}
    bars: dict[str, dict[str, LiveBar]] = defaultdict(dict)
    stage = ""
    for event in events:
        if event["at"] > now:
            break
        if event["event"] == "stage":
            stage = event["stage"]
            started.setdefault(stage, event["at"])
        if event["event"] == "progress":
            name = event["description"]
            bars[stage][name] = LiveBar(**{key: event[key] for key in BAR_FIELDS if key in event})
        if event["event"] != "run":
            shown, finished = tuple(bars[stage].values()), event.get("state") == "finished"
            seen[stage] = Seen(event["at"] - started[stage], shown, finished)
    return seen


def show(path: Path, rows: Sequence[tuple[float, float, float]]) -> None:
    print(f"{path.name}: a run of {rows[0][1]:,.0f} s")
    for share, left, estimate in rows:
        error = estimate / left - 1
        print(f"  after {share:4.0%}: {left:6,.0f} s left, estimated {estimate:6,.0f} s ({error:+.0%})")


if __name__ == "__main__":
    main()
