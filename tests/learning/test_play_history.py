"""How many episodes were played, and the mean of the newest hundred rewards."""

from __future__ import annotations

import json

import pytest

from affine_trainer.learning.play_history import NUM_RECENT, PlayHistory
from affine_trainer.records import Episode, Grade


def episodes(rewards: list[float | None]) -> list[Episode]:
    grades = [None if reward is None else Grade(reward, False, "") for reward in rewards]
    return [Episode("toy:a/1", "", "p", [], grade, "terminated", None, 1, 1, 0.0) for grade in grades]


def test_episodes_are_counted_and_only_graded_ones_averaged() -> None:
    history = PlayHistory()
    assert history.metrics() == {"rl/episode": 0.0}
    history.add({"a": episodes([1.0, None]), "b": episodes([0.0, 0.5])})
    assert history.metrics() == {"rl/episode": 4.0, "rl/avg_reward_100": 0.5}


def test_the_newest_hundred_are_of_all_environments_alike() -> None:
    history = PlayHistory()
    history.add({"a": episodes([0.0] * 300), "b": episodes([1.0] * 100)})
    assert history.metrics()["rl/avg_reward_100"] == pytest.approx(0.25)
    history.add({"a": episodes([0.5] * 20)})
    assert history.metrics() == {
        "rl/episode": 420.0,
        "rl/avg_reward_100": pytest.approx((20 * 0.5 + 20) / NUM_RECENT),
    }


def test_its_state_comes_back_through_json() -> None:
    history, other = PlayHistory(), PlayHistory()
    history.add({"a": episodes([0.1, 0.7, 1 / 3])})
    other.load_state_dict(json.loads(json.dumps(history.state_dict())))
    assert other == history
