"""The part of `affine diagnose` that measures what states are worth, and how far values are from it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from affine_trainer.config import RLConfig
from affine_trainer.records import Episode, seed_from
from affine_trainer.stats import Calibration

if TYPE_CHECKING:
    from torch import Tensor

    from affine_trainer.learning.rollouts import Rollouts
    from affine_trainer.learning.value_check import DrawnState, Level, Truth

INTERVAL = "percentile bootstrap over tasks"
COLUMNS = ("of", "task", "turn", "position", "value", "truth", "standard_error", "continuations")


@dataclass(frozen=True, slots=True)
class Continued:
    """States of a batch with their fresh `plays`, and Monte-Carlo values of other plays than these.

    `rollouts_a_state` is the mean number of plays behind a Monte-Carlo value.
    """

    drawn: Sequence[DrawnState]
    plays: Sequence[Sequence[Episode]]
    monte_carlo: Sequence[float | None]
    rollouts_a_state: float


def continue_states(rollouts: Rollouts, drawn: Sequence[DrawnState], fresh: int, seed: int) -> Continued:
    """Play on from each state `fresh` times, and value each as VinePPO would, by plays of its own."""
    from affine_trainer.learning.value_check import state_groups

    groups = state_groups(drawn, rollouts.task_set)
    plays = rollouts.play_on(groups, fresh, seed_from(seed, "truth"))
    values = rollouts.state_values(groups, seed_from(seed, "monte carlo"))
    return Continued(
        drawn,
        [found for group in plays for found in group],
        [value for group in values.values for value in group],
        fmean(values.used) if values.used else float("nan"),
    )


def calibrate(
    found: Continued, critic: Tensor | None, rl: RLConfig, fresh: int, level: float
) -> dict[str, Any]:
    """The calibration as JSON types; `critic` (B, T + 1) are its values of the batch, None without one.

    `rows` has each state under each value. Where no state could be measured `left_out` says so.
    """
    from affine_trainer.learning.value_check import compare, read_off, share_cut_off, truth

    compared: list[tuple[str, Level, Sequence[float | None]]] = [("monte_carlo", "turn", found.monte_carlo)]
    if critic is not None:
        compared.insert(0, ("critic", rl.gae_level, read_off(critic, found.drawn)))
    entries, rows = {}, []
    for name, by, values in compared:
        truths = [truth(each.state, plays, gamma=rl.gamma, level=by)
                  for each, plays in zip(found.drawn, found.plays, strict=True)]  # fmt: skip
        known = compare(found.drawn, values, truths, level=level)
        if known is not None:
            entries[name] = {"return": f"discounted by {by}, gamma {rl.gamma:g}"} | _entry(known)
            rows += _rows(name, found.drawn, values, truths)
    if not entries:
        return {"left_out": "no state of the batch could be continued and graded"}
    if "monte_carlo" in entries:
        entries["monte_carlo"]["rollouts_a_state"] = found.rollouts_a_state
    return {
        "fresh_rollouts": fresh,
        "states": len(found.drawn),
        "tasks": len({each.state.task.key for each in found.drawn}),
        "cut_off": share_cut_off(found.plays),
        "interval": INTERVAL,
        "confidence_level": level,
        "values": entries,
        "rows": rows,
    }


def _entry(found: Calibration) -> dict[str, Any]:
    entry = asdict(found)
    interval = entry.pop("bias_interval")
    return entry | {"bias": {"value": entry["bias"], **interval._asdict()}}


def _rows(
    name: str,
    drawn: Sequence[DrawnState],
    values: Sequence[float | None],
    truths: Sequence[Truth | None],
) -> Iterator[dict[str, Any]]:
    """One a state that has both; `position` is that of the first token sampled there in its episode's row."""
    for each, value, found in zip(drawn, values, truths, strict=True):
        if value is not None and found is not None:
            error = math.sqrt(found.noise)
            known = (value, found.mean, error, found.number)
            place = (name, each.state.task.key, each.state.num_turns + 1, each.position)
            yield dict(zip(COLUMNS, place + known, strict=True))


def calibration_csv(found: Mapping[str, Any]) -> str:
    """The rows of a calibration, one a state under each value."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found.get("rows", ()))
    return text.getvalue()
