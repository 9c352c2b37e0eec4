"""One play of each task: what counts as a sample where a task was played several times."""

from __future__ import annotations

from affine_trainer.records import Episode
from affine_trainer.report.pairing import Evaluation


def first_plays(evaluation: Evaluation) -> dict[str, dict[str, Episode]]:
    """The first play of every task by environment and key, unseen families left out.

    Plays of one task are not independent, so counting them all would make a result look surer than it is.
    """
    found: dict[str, dict[str, Episode]] = {}
    for name, plays in evaluation.plays(unseen=False).items():
        firsts: dict[str, str] = {}
        for key, episode in plays.items():
            firsts.setdefault(episode.task_key, key)
        found[name] = {key: plays[key] for key in firsts.values()}
    return found
