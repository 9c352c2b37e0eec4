"""The simulator's tasks in the order of the AgentGym server's list, and the splits of their variations."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import NamedTuple

from affine_trainer.errors import AffineError
from affine_trainer.records import Split


class SimulatorTask(NamedTuple):
    """One of the simulator's tasks; `expert_rounds` is the expert's mean, measured on four games each."""

    name: str
    num_variations: int
    expert_rounds: int


# The server leaves out growing plants, inclined planes and genetics (its tasks 5-1, 5-2, 9-x, 10-x).
TASKS = (
    SimulatorTask("boil", 30, 63),
    SimulatorTask("melt", 30, 32),
    SimulatorTask("freeze", 30, 45),
    SimulatorTask("change-the-state-of-matter-of", 30, 48),
    SimulatorTask("use-thermometer", 540, 18),
    SimulatorTask("measure-melting-point-known-substance", 436, 32),
    SimulatorTask("measure-melting-point-unknown-substance", 300, 47),
    SimulatorTask("power-component", 20, 10),
    SimulatorTask("power-component-renewable-vs-nonrenewable-energy", 20, 15),
    SimulatorTask("test-conductivity", 900, 20),
    SimulatorTask("test-conductivity-of-unknown-substances", 600, 20),
    SimulatorTask("find-living-thing", 300, 12),
    SimulatorTask("find-non-living-thing", 300, 5),
    SimulatorTask("find-plant", 300, 10),
    SimulatorTask("find-animal", 300, 14),
    SimulatorTask("chemistry-mix", 32, 36),
    SimulatorTask("chemistry-mix-paint-secondary-color", 36, 10),
    SimulatorTask("chemistry-mix-paint-tertiary-color", 36, 16),
    SimulatorTask("lifespan-longest-lived", 125, 7),
    SimulatorTask("lifespan-shortest-lived", 125, 5),
    SimulatorTask("lifespan-longest-lived-then-shortest-lived", 125, 9),
    SimulatorTask("identify-life-stages-1", 14, 32),
    SimulatorTask("identify-life-stages-2", 10, 9),
)
ENDS = tuple(accumulate(task.num_variations for task in TASKS))
NUM_GAMES = ENDS[-1]


def game_at(index: int) -> tuple[SimulatorTask, int]:
    """The task and variation of an index, which is the server's `data_idx`; AffineError outside 0..4638."""
    if not 0 <= index < NUM_GAMES:
        raise AffineError(
            f"agentgym:sciworld has the games 0..{NUM_GAMES - 1}, and {index} is not one of them"
        )
    place = bisect_right(ENDS, index)
    task = TASKS[place]
    return task, index - ENDS[place] + task.num_variations


def variations_of(split: Split, num_variations: int) -> range:
    """A task's variations in a split: the simulator's own cut, with the last quarter of its training set
    given to pretraining.

    The simulator cuts n variations into 2q training, q development and the rest test ones, q = n // 4.
    """
    quarter = num_variations // 4
    pretraining = 2 * quarter - quarter // 2
    bounds: dict[Split, tuple[int, int]] = {
        "train": (0, pretraining),
        "pretrain": (pretraining, 2 * quarter),
        "validation": (2 * quarter, 3 * quarter),
        "evaluation": (3 * quarter, num_variations),
    }
    return range(*bounds[split])


def indices_of(split: Split) -> list[int]:
    """All indices of a split, ascending."""
    starts = (end - task.num_variations for end, task in zip(ENDS, TASKS, strict=True))
    return [
        start + variation
        for start, task in zip(starts, TASKS, strict=True)
        for variation in variations_of(split, task.num_variations)
    ]
