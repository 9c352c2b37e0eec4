"""Which of the played episodes are learned from."""

from __future__ import annotations

from affine_trainer.learning.rollouts import instructive
from affine_trainer.records import Episode, Grade, Turn


def episode(task: str, reward: float | None) -> Episode:
    grade = None if reward is None else Grade(reward, reward > 0, "")
    turns = [Turn("", "", reward or 0.0, 1)]
    return Episode(task, "", "toy", turns, grade, "terminated", None, 1, 1, 0.0)


def group(task: str, *rewards: float | None) -> list[Episode]:
    return [episode(task, reward) for reward in rewards]


def test_tasks_whose_episodes_differ_come_first_and_in_the_order_of_play() -> None:
    groups = {
        "a": [*group("a0", 0, 0), *group("a1", 0, 1), *group("a2", 1, 1)],
        "b": [*group("b0", 1, 0), *group("b1", 0, 0), *group("b2", 0.5, 0.25)],
    }
    assert [e.task_key for e in instructive(groups, 6, 2)] == ["b0", "b0", "a1", "a1", "b2", "b2"]
    assert [e.task_key for e in instructive(groups, 8, 2)][:2] == ["a0", "a0"]
    assert len(instructive(groups, 12, 2)) == 12


def test_an_episode_that_could_not_be_graded_makes_no_difference() -> None:
    groups = {"a": [*group("a0", None, 0), *group("a1", None, 1, 0, 0)[:2], *group("a2", 1, 0)]}
    assert [e.task_key for e in instructive(groups, 2, 2)] == ["a2", "a2"]
