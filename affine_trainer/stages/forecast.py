"""The time left of a run: its expected work, corrected by the speed that this machine has shown so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from affine_trainer.artifacts import LiveBar
from affine_trainer.stages.workload import Kind, Work

# A bar's own speed outweighs what was expected of it after this much of its work, in seconds of costs.json.
# Less would follow the lumps of a stage, such as one slow environment among an evaluation's first chunks.
PRIOR_SECONDS = 60.0
# A kind of work shares half of the others' deviation, on a log scale: of two recorded runs on one machine
# collect took 1.33 times as long in the second, training 1.05 times and evaluation 0.87 times.
SHARED = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a stage that has begun: its seconds so far, its bars, and whether it is finished.

    Without bars a finished stage has done all of its work in `seconds`; 0 means that nobody knows.
    """

    seconds: float
    bars: tuple[LiveBar, ...] = ()
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds left by stage, those of finished stages 0, and of the whole run."""

    left: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.left.values())


def forecast(works: Sequence[Work], seen: Mapping[str, Seen]) -> Forecast:
    """Seconds left of every stage.

    A stage that has not begun takes its work times the pace (seconds a second of costs.json) of its kind; one
    that runs takes the pace it has itself, as far as that is known.
    """
    paces = _paces(works, seen)
    left = {}
    for work in works:
        found = seen.get(work.stage)
        if found is None:
            outside = [work.start * paces[work.kind]]
            left[work.stage] = sum(outside + [bar.seconds * paces[bar.kind] for bar in work.bars])
        elif found.finished:
            left[work.stage] = 0.0
        else:
            left[work.stage] = _left(work, found, paces)
    return Forecast(left)


def _paces(works: Sequence[Work], seen: Mapping[str, Seen]) -> dict[Kind, float]:
    """The pace of each kind of work; before there is one, half of the deviation of all others."""
    spent: dict[Kind, tuple[float, float]] = {work.kind: (0.0, 0.0) for work in works}
    for work in works:
        for kind, expected, seconds in _spent(work, seen.get(work.stage)):
            before, taken = spent[kind]
            spent[kind] = before + expected, taken + seconds
    return {kind: _blend(_others(kind, spent) ** SHARED, *mine) for kind, mine in spent.items()}


def _others(kind: Kind, spent: Mapping[Kind, tuple[float, float]]) -> float:
    others = [pair for other, pair in spent.items() if other != kind]
    return _blend(1.0, sum(expected for expected, _ in others), sum(seconds for _, seconds in others))


def _blend(prior: float, expected: float, seconds: float) -> float:
    return (PRIOR_SECONDS * prior + seconds) / (PRIOR_SECONDS + expected)


def _spent(work: Work, found: Seen | None) -> Iterator[tuple[Kind, float, float]]:
    """By kind, the work that this process has done and the seconds it took."""
    if found is None or not found.seconds:
        return
    bars = [(known, bar) for bar in found.bars if (known := work.bar(bar.description))]
    for known, bar in bars:
        done = known.seconds_of(bar.done, bar.total) - known.seconds_of(bar.before, bar.total)
        yield known.kind, done, bar.seconds
    outside = max(0.0, found.seconds - sum(bar.seconds for _, bar in bars))
    if bars:
        yield work.kind, work.start, outside
    elif found.finished:
        yield work.kind, work.seconds, found.seconds
    else:
        yield work.kind, min(work.start, outside), outside


def _left(work: Work, found: Seen, paces: Mapping[Kind, float]) -> float:
    """What is left of each bar at its own pace, as far as that is known, and of the start."""
    bars = {bar.description: bar for bar in found.bars}
    left = 0.0 if any(map(work.bar, bars)) else max(0.0, work.start * paces[work.kind] - found.seconds)
    for known in work.bars:
        bar, pace = bars.get(known.description), paces[known.kind]
        if bar is None:
            left += pace * known.seconds
        else:
            done, before = (known.seconds_of(count, bar.total) for count in (bar.done, bar.before))
            left += _blend(pace, done - before, bar.seconds) * (known.seconds - done)
    return left
