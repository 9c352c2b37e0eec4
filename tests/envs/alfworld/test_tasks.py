"""Household tasks: functions of their index, rooms of one split only, states that can be restored."""

import json
import random
from collections import Counter

import pytest

from affine_trainer.envs.alfworld.goals import KINDS, WORDINGS, read_goal
from affine_trainer.envs.alfworld.scene import POSSIBLE_GOALS, draw_scene
from affine_trainer.envs.splits import SPLIT_RANGES
from affine_trainer.errors import AffineError
from affine_trainer.records import sha256_of
from tests.envs.alfworld.playing import GAMES, expert_play, random_play


def test_of_a_thousand_tasks_at_least_990_differ():
    for split in SPLIT_RANGES:
        contents = {sha256_of(GAMES.info(index).content) for index in GAMES.indices(split, 1000, 0)}
        assert len(contents) >= 990


def test_all_six_kinds_are_drawn_about_equally():
    kinds = Counter(GAMES.info(index).kind for index in GAMES.indices("train", 1200, 1))
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) >= 150


def test_no_room_of_one_split_is_met_in_another():
    rooms = {
        split: {tuple(GAMES.info(index).content["room"]) for index in GAMES.indices(split, 800, 0)}
        for split in SPLIT_RANGES
    }
    assert len(rooms["evaluation"]) >= 100
    for split, here in rooms.items():
        for other, there in rooms.items():
            assert split == other or not here & there


def test_rooms_and_first_observations_are_of_moderate_size():
    for index in GAMES.indices("train", 500, 2):
        assert 6 <= len(GAMES.info(index).content["room"]) - 1 <= 14
        assert len(GAMES.start(index).observe()) <= 450


def test_every_goal_can_be_worded_and_read_back():
    for goals in POSSIBLE_GOALS.values():
        for choices in goals.values():
            for _, goal in choices:
                assert [read_goal(goal.worded(wording)) for wording in (0, 1)] == [goal, goal]
    assert read_goal("put a mug on the moon") is None
    assert all(len(wordings) == 2 for wordings in WORDINGS.values())


def test_no_task_begins_solved_and_all_difficulties_are_shares():
    for index in GAMES.indices("validation", 500, 0):
        assert GAMES.start(index).progress == 0.0
        assert not GAMES.start(index).success
        assert 0.0 < GAMES.info(index).difficulty <= 1.0


def test_contents_are_hidden_at_first():
    for index in GAMES.indices("train", 50, 3):
        scene, text = draw_scene(index, GAMES.family), GAMES.start(index).observe()
        assert not any(f"a {thing}" in text for thing in scene.things)


def test_an_index_outside_all_splits_is_refused():
    with pytest.raises(AffineError, match="outside"):
        GAMES.start(-1)


def test_indices_of_a_shorter_list_are_a_prefix():
    assert GAMES.indices("evaluation", 20, 5) == GAMES.indices("evaluation", 50, 5)[:20]


def test_the_same_index_and_actions_give_the_same_transcript():
    for index in GAMES.indices("evaluation", 40, 1):
        assert expert_play(index) == expert_play(index)


def test_a_snapshot_brings_back_the_same_answers_and_rewards():
    for index in GAMES.indices("train", 120, 4):
        rng, game = random.Random(index), random_play(index, index % 25)
        state, progress = game.snapshot(), game.progress
        actions = [rng.choice(game.actions()) for _ in range(3)]
        first = [game.act(action) for action in actions]
        for _ in range(3):
            game.act(rng.choice(game.actions()))
        game.restore(state)
        assert (game.snapshot(), game.progress) == (state, progress)
        assert [game.act(action) for action in actions] == first


def test_a_snapshot_continues_in_a_fresh_game():
    for index in GAMES.indices("train", 60, 5):
        played, fresh = random_play(index, 12), GAMES.start(index)
        fresh.restore(played.snapshot())
        rng = random.Random(1)
        for _ in range(10):
            assert fresh.actions() == played.actions()
            action = rng.choice(fresh.actions())
            assert fresh.act(action) == played.act(action)


def test_a_snapshot_is_plain_json():
    assert set(json.loads(random_play(7, 10).snapshot())) == {"at", "where", "opened", "seen", "marks"}


def test_progress_stays_in_bounds_and_is_one_only_on_success():
    for index in GAMES.indices("train", 150, 6):
        game, rng = GAMES.start(index), random.Random(index)
        for _ in range(30):
            outcome = game.act(rng.choice(game.actions()))
            assert 0.0 <= game.progress <= 1.0
            assert (game.progress == 1.0) == game.success == outcome.done
            assert outcome.reward == outcome.score == float(outcome.done)
            if outcome.done:
                break


def test_taking_and_putting_back_gains_nothing():
    tried = 0
    for index in GAMES.indices("train", 150, 7):
        game, rng = random_play(index, 15), random.Random(index)
        takes = [action for action in game.actions() if action.startswith("take ")]
        if game.success or not takes:
            continue
        take = rng.choice(takes)
        put = take.replace("take", "move").replace(" from ", " to ")
        before = game.progress
        if not game.act(take).done and put in game.actions():
            game.act(put)
            assert game.progress == before
            tried += 1
    assert tried >= 20


def test_doing_nothing_or_anything_at_random_hardly_ever_solves_a_task():
    indices = GAMES.indices("evaluation", 300, 2)
    assert not any(GAMES.start(index).act("look").done for index in indices)
    assert sum(random_play(index, 10).success for index in indices) <= 3
    assert sum(random_play(index, 30).success for index in indices) <= 9
