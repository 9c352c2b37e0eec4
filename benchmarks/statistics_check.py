"""Do the intervals cover, do the validators' rules behave as measured, how good is our own verdict?

Run from the repository: `PYTHONPATH=. python benchmarks/statistics_check.py --json result.json` (some minutes
on one core); `--quick` takes seconds and says little. Everything is seeded.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from affine_trainer.scoring import SCORINGS
from benchmarks.interval_coverage import cases, coverage, jeffreys_coverage
from benchmarks.verdict_power import (
    DUEL,
    World,
    calibration,
    cells,
    false_wins,
    highest_correlation,
    needed_gap,
    needed_samples,
    observed_domination,
    paired_mcnemar,
    paired_posterior,
    unpaired_fisher,
    unpaired_posterior,
    verdict_shares,
    wins,
)


class Size(NamedTuple):
    """Simulations a figure: vectorised ones, intervals, samples a design needs, verdicts, whole plans."""

    many: int
    intervals: int
    designs: int
    verdicts: int
    worlds: int


FULL, QUICK = Size(200_000, 2000, 20_000, 4000, 400), Size(4000, 20, 500, 50, 6)
# Base rates (equal in all, or spread evenly) of the environments in which the duel is fought.
DUELS = {
    "4 environments at 50 %": (0.5,) * 4,
    "4 environments, 20 to 80 %": tuple(np.linspace(0.2, 0.8, 4)),
    "5 environments, 50 to 90 %": tuple(np.linspace(0.5, 0.9, 5)),
    "8 environments, 20 to 90 %": tuple(np.linspace(0.2, 0.9, 8)),
}
EIGHT = tuple(np.linspace(0.2, 0.8, 8))
GAPS = (0.0, 0.03, 0.06)


def jeffreys_rows(size: Size) -> Iterator[dict[str, Any]]:
    """Mean coverage of the Jeffreys interval, and the least over p."""
    for level in (0.80, 0.95):
        for n, (mean, least) in jeffreys_coverage(size.many, level).items():
            yield {"level": level, "n": n, "mean over p": mean, "least over p": least}


def interval_rows(size: Size) -> Iterator[dict[str, Any]]:
    """Coverage of every other interval."""
    for name, case in cases().items():
        yield {"interval at .80": name, "coverage": coverage(case, size.intervals)}


def false_win_rows(size: Size) -> Iterator[dict[str, Any]]:
    """The Jeffreys rule at equal strength."""
    for level in (0.80, 0.90):
        for rate in (0.1, 0.5, 0.9):
            for n in (200, 1000):
                share = false_wins(rate, n, level, size.many)
                yield {"level": level, "rate": rate, "n": n, "false wins an environment": share}


def gap_rows(size: Size) -> Iterator[dict[str, Any]]:
    """The observed gap that the later model needs at level .80."""
    for rate, n in ((0.5, 200), (0.95, 200), (0.5, 1000)):
        yield {"rate": rate, "n": n, "gap needed": needed_gap(rate, n)}


def duel_rows(size: Size) -> Iterator[dict[str, Any]]:
    """P(win) of a challenger better by the same in all environments, tasks not shared."""
    for name, rates in DUELS.items():
        for n in (100, 200, 500, 1000):
            chances = {f"+{100 * gap:g} points": wins(DUEL, rates, gap, n, size.many // 10) for gap in GAPS}
            yield {"champion": name, "n": n, **chances}


def win_rows(size: Size) -> Iterator[dict[str, Any]]:
    """P(win) of the later model under every rule in eight environments of 20 to 80 %."""
    for name, scoring in SCORINGS.items():
        for gap in (0.0, 0.05, 0.10, 0.15):
            shares = {f"n={n}": wins(scoring, EIGHT, gap, n, size.many // 50) for n in (400, 1000)}
            yield {"scoring": name, "gap": gap, **shares}


def pairing_rows(size: Size) -> Iterator[dict[str, Any]]:
    """Tasks for a power of 80 % at 2.5 % one-sided, paired over unpaired."""
    for mine, theirs in ((0.55, 0.50), (0.35, 0.30), (0.60, 0.50)):
        counts = np.array([mine, theirs])
        fisher = needed_samples(unpaired_fisher, counts, size.designs)
        normal = needed_samples(unpaired_posterior, counts, size.designs)
        for correlation in (0.0, 0.5, 0.8):
            if correlation > highest_correlation(mine, theirs):
                continue
            table = cells(mine, theirs, correlation)
            exact = needed_samples(paired_mcnemar, table, size.designs)
            posterior = needed_samples(paired_posterior, table, size.designs)
            yield {
                "rates": f"{mine:.2f} and {theirs:.2f}",
                "correlation": correlation,
                "Fisher": fisher,
                "McNemar": exact,
                "ratio": exact / fisher,
                "posterior, unpaired": normal,
                "posterior, paired": posterior,
                "ratio of these": posterior / normal,
            }


def worlds() -> dict[str, World]:
    """True states of eight environments for our own verdict."""

    def shifted(*gaps: float) -> tuple[float, ...]:
        return tuple(rate + gap for rate, gap in zip(EIGHT, gaps, strict=True))

    return {
        "equal": World(EIGHT, EIGHT, 0.5),
        "+3 points everywhere": World(shifted(*[0.03] * 8), EIGHT, 0.5),
        "+5 points everywhere": World(shifted(*[0.05] * 8), EIGHT, 0.5),
        "+10 points everywhere": World(shifted(*[0.10] * 8), EIGHT, 0.5),
        "+10 points in one, equal in seven": World(shifted(0.10, *[0.0] * 7), EIGHT, 0.5),
        "+5 points in seven, -1 in one": World(shifted(-0.01, *[0.05] * 7), EIGHT, 0.5),
        "+5 points in seven, -3 in one": World(shifted(-0.03, *[0.05] * 7), EIGHT, 0.5),
        "-5 points everywhere": World(shifted(*[-0.05] * 8), EIGHT, 0.5),
    }


def verdict_rows(size: Size) -> Iterator[dict[str, Any]]:
    """Our verdict (epsilon 1 point, probability .9, correlation .5) by what is true."""
    for name, world in worlds().items():
        for n in (200, 1000, 5000):
            yield {"truth": name, "n": n, **verdict_shares(world, n, size.verdicts)}


def observed_rows(size: Size) -> Iterator[dict[str, Any]]:
    """Point estimates alone: how often +5 points in eight environments at 50 % look like domination."""
    for correlation in (0.0, 0.5, 0.8):
        world = World((0.55,) * 8, (0.50,) * 8, correlation)
        yield {"correlation": correlation, "n": 200, "seen": observed_domination(world, 200, size.verdicts)}


def calibration_rows(size: Size) -> Iterator[dict[str, Any]]:
    """P(win) of `affine plan` against what then happens, n=200 in three environments."""
    for name in ("pareto-2025-09", "threshold-2025-12", "duel-2026-06"):
        for predicted, actual, count in calibration(SCORINGS[name], 200, size.worlds):
            yield {"scoring": name, "predicted": predicted, "won": actual, "worlds": count}


PARTS: dict[str, Callable[[Size], Iterator[dict[str, Any]]]] = {
    "jeffreys": jeffreys_rows,
    "intervals": interval_rows,
    "false-wins": false_win_rows,
    "gaps": gap_rows,
    "duel": duel_rows,
    "rules": win_rows,
    "pairing": pairing_rows,
    "verdict": verdict_rows,
    "observed": observed_rows,
    "calibration": calibration_rows,
}


def main() -> None:
    """Print one table a part; write all of them as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    found = {}
    for name in wanted.only:
        print(f"\n{name}: {PARTS[name].__doc__}", flush=True)
        found[name] = rows = []
        for row in PARTS[name](QUICK if wanted.quick else FULL):
            if not rows:
                print("  " + " | ".join(row))
            rows.append(row)
            print("  " + " | ".join(map(_shown, row.values())), flush=True)
    if wanted.json:
        wanted.json.write_text(json.dumps(found, indent=2) + "\n")


def _shown(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
