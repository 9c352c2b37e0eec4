"""Means of samples whose size depends on what they show: stopping plans, and an unbiased estimate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import Literal, NamedTuple

from affine_trainer.stats.intervals import jeffreys_interval, wilson_interval

IntervalMethod = Literal["wilson", "jeffreys"]


@dataclass(frozen=True)
class StoppingPlan:
    """When to stop drawing outcomes that succeed or fail.

    After `looks[i]` outcomes, ascending, one stops where the interval of the success rate at `level` is no
    wider than `target_width`, and always at the last look. The outcomes up to the first look are the pilot.
    """

    looks: tuple[int, ...]
    target_width: float
    method: IntervalMethod = "wilson"
    level: float = 0.95

    @property
    def pilot(self) -> int:
        return self.looks[0]

    @property
    def most(self) -> int:
        return self.looks[-1]

    def stops(self, successes: int, trials: int) -> bool:
        """Whether to stop at the look after `trials` outcomes."""
        return trials >= self.most or self.width(successes, trials) <= self.target_width

    def width(self, successes: int, trials: int) -> float:
        interval = wilson_interval if self.method == "wilson" else jeffreys_interval
        lower, upper = interval(successes, trials, self.level)
        return upper - lower

    @property
    def can_stop_early(self) -> bool:
        """Whether any sequence of outcomes stops before the last look."""
        return any(end.trials < self.most for end in ends_of(self))

    @classmethod
    def every(
        cls, pilot: int, most: int, target_width: float, method: IntervalMethod, level: float
    ) -> StoppingPlan:
        """Looks after each `pilot` outcomes, and after `most`."""
        return cls((*range(pilot, most, pilot), most), target_width, method, level)


def fixed_plan(trials: int) -> StoppingPlan:
    """The plan with one look: always so many outcomes."""
    return StoppingPlan((trials,), 1.0)


class End(NamedTuple):
    """Where a plan can stop: how many sequences of outcomes end so, and the pilot's successes among them."""

    successes: int
    trials: int
    sequences: int
    pilot_successes: float  # mean over the sequences, which are equally likely at any success rate


@lru_cache(maxsize=64)
def ends_of(plan: StoppingPlan) -> tuple[End, ...]:
    """Every way that a plan can end, by counting paths (Girshick, Mosteller and Savage 1946)."""
    return tuple(_ends(plan))


def _ends(plan: StoppingPlan) -> Iterator[End]:
    # For each number of successes: how many sequences are still open, and their pilots' successes in total.
    counts = {s: math.comb(plan.pilot, s) for s in range(plan.pilot + 1)}
    pilots = {s: s * count for s, count in counts.items()}
    for look, following in zip(plan.looks, (*plan.looks[1:], plan.most), strict=True):
        stopped = [s for s in counts if plan.stops(s, look)]
        for s in stopped:
            count = counts.pop(s)
            yield End(s, look, count, pilots.pop(s) / count)
        counts, pilots = (_with_more(table, following - look) for table in (counts, pilots))


def _with_more(table: dict[int, int], outcomes: int) -> dict[int, int]:
    """The table after so many more outcomes, each of which may succeed or fail."""
    after: dict[int, int] = {}
    for successes, count in table.items():
        for more in range(outcomes + 1):
            place = successes + more
            after[place] = after.get(place, 0) + count * math.comb(outcomes, more)
    return dict(sorted(after.items()))


def unbiased_mean(plan: StoppingPlan, successes: Sequence[bool], returns: Sequence[float]) -> float:
    """An unbiased estimate of the expected return from outcomes drawn until `plan` stopped.

    The pilot's mean is unbiased, for its size is fixed; this is its expectation given all that was drawn, but
    for the order (Rao and Blackwell). Given how many succeeded, every order that the plan allows is equally
    likely: the pilot had `pilot_successes` of them, drawn evenly from all successes, and failures for the
    rest. Returns need not be 0 and 1. ValueError where the plan does not stop at such a count.
    """
    trials, hits = len(returns), sum(successes)
    end = next((end for end in ends_of(plan) if end[:2] == (hits, trials)), None)
    if end is None or len(successes) != trials:
        raise ValueError(f"the plan {plan} does not stop after {trials} outcomes with {hits} successes")
    of_hits = [value for value, hit in zip(returns, successes, strict=True) if hit]
    of_misses = [value for value, hit in zip(returns, successes, strict=True) if not hit]
    total = end.pilot_successes * fmean(of_hits) if of_hits else 0.0
    total += (plan.pilot - end.pilot_successes) * fmean(of_misses) if of_misses else 0.0
    return total / plan.pilot


class PlanAtRate(NamedTuple):
    """What a plan does where the success rate is `rate`, for returns of 0 and 1; exact, by enumeration.

    `bias` and `rmse` are those of the repaired estimate, `mle_*` those of the plain mean, `fixed_rmse` that
    of as many outcomes as expected, fixed beforehand.
    """

    rate: float
    expected_trials: float
    stops_early: float
    bias: float
    rmse: float
    mle_bias: float
    mle_rmse: float
    fixed_rmse: float


def plan_at(plan: StoppingPlan, rate: float) -> PlanAtRate:
    """The plan's expected size, bias and error at one success rate."""
    ends = ends_of(plan)
    chances = [
        end.sequences * rate**end.successes * (1 - rate) ** (end.trials - end.successes) for end in ends
    ]
    expected = math.fsum(c * end.trials for c, end in zip(chances, ends, strict=True))
    bias, rmse = _error([end.pilot_successes / plan.pilot for end in ends], chances, rate)
    mle_bias, mle_rmse = _error([end.successes / end.trials for end in ends], chances, rate)
    return PlanAtRate(
        rate=rate,
        expected_trials=expected,
        stops_early=math.fsum(c for c, end in zip(chances, ends, strict=True) if end.trials < plan.most),
        bias=bias,
        rmse=rmse,
        mle_bias=mle_bias,
        mle_rmse=mle_rmse,
        fixed_rmse=math.sqrt(rate * (1 - rate) / expected),
    )


def _error(estimates: Sequence[float], chances: Sequence[float], rate: float) -> tuple[float, float]:
    """Bias and root mean squared error of estimates that have these chances."""
    off = [estimate - rate for estimate in estimates]
    bias = math.fsum(c * e for c, e in zip(chances, off, strict=True))
    return bias, math.sqrt(math.fsum(c * e * e for c, e in zip(chances, off, strict=True)))
