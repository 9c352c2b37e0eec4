"""Plays over HTTP are those of the embedded engines to the letter: observations, rewards, scores, actions."""

from __future__ import annotations

import random

import pytest

from affine_trainer.envs.agents.server import ServerGames
from affine_trainer.envs.alfworld import AlfWorldGames
from affine_trainer.errors import AffineError
from tests.envs.agents.fake_server import FakeServer
from tests.envs.agents.fake_worlds import TextCraft, shop

NAMES = ("webshop", "alfworld", "babyai", "sciworld", "textcraft")
EMBEDDED = {
    "webshop": shop,
    "alfworld": lambda: AlfWorldGames(list_actions=True),
    "textcraft": lambda: TextCraft.games,
}


def outcomes(game, actions):
    return [game.act(action) for action in actions]


def expert_actions(games, index, limit=30):
    game = games.start(index)
    expert, observation, actions = games.expert(game), game.observe(), []
    while len(actions) < limit:
        actions.append(expert.move(observation).action)
        outcome = game.act(actions[-1])
        observation = outcome.observation
        if outcome.done:
            break
    return actions


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_experts_play_is_step_by_step_that_of_the_embedded_engine(name):
    embedded = EMBEDDED[name]()
    with FakeServer(name) as server:
        games = server.games()
        for index in range(3):
            actions = ["nonsense", *expert_actions(embedded, index)]
            there, here = games.start(index), embedded.start(index)
            assert there.observe() == here.observe()
            assert outcomes(there, actions) == outcomes(here, actions)
            assert (there.success, there.progress) == (True, 1.0) == (here.success, here.progress)
            there.close()
        assert games.num_open == 0


@pytest.mark.parametrize("name", ["webshop", "alfworld"])
def test_actions_are_those_that_the_server_offers(name):
    embedded = EMBEDDED[name]()
    rng = random.Random(0)
    with FakeServer(name) as server:
        there, here = server.games().start(5), embedded.start(5)
        if name == "webshop":
            (search,) = there.actions()
            assert search == f"search[{here.errand.instruction}]"
            assert there.act(search) == here.act(search)
        for _ in range(6):
            assert there.actions() == here.actions()
            action = rng.choice([action for action in here.actions() if action != "click[back to search]"])
            assert there.act(action) == here.act(action)


def test_a_server_that_does_not_say_offers_no_actions():
    for name in ("textcraft", "babyai", "sciworld"):
        with FakeServer(name) as server:
            assert server.games().start(0).actions() == []


def test_actions_that_cannot_be_asked_for_are_none():
    with FakeServer("webshop") as server:
        game = server.games().start(0)
        server.script = lambda path, body, number: "failed" if path == "available_actions" else None
        assert game.actions() == []
        assert not game.act("search[shoes]").done


def test_babyai_ends_at_the_first_payment_before_it_is_paid_again():
    with FakeServer("babyai") as server:
        game = server.games().start(7)
        assert game.observe().startswith("Your goal: open door 7\n")
        first, paid = outcomes(game, ["go to door", "toggle"])
        assert (first.reward, first.score, first.done) == (0.0, 0.0, False)
        assert (paid.reward, paid.score, paid.done) == (0.5, 0.5, True)
        assert game.success and game.progress == 0.5


def test_a_score_above_the_scale_is_clamped_and_logged(caplog):
    with FakeServer("babyai") as server:
        server.script = lambda path, body, number: {"score": 3.0} if path == "step" else None
        outcome = server.games().start(0).act("toggle")
    assert outcome.score == 1.0
    assert "score 3 is taken as 1" in caplog.text


def test_sciworld_counts_in_points_and_a_wrong_focus_is_no_progress(caplog):
    caplog.set_level("INFO")
    with FakeServer("sciworld") as server:
        games = server.games()
        game = games.start(4)
        assert game.observe() == "Boil 4.\nA kitchen."
        heated = outcomes(game, ["heat", "look", "heat"])
        assert [outcome.reward for outcome in heated] == [40.0, 0.0, 40.0]
        assert [outcome.score for outcome in heated] == [40.0, 40.0, 80.0]
        assert (game.success, game.progress) == (False, 0.8)
        assert game.act("heat").done and game.success
        wrong = games.start(4)
        outcome = wrong.act("focus on wrong")
        assert (outcome.score, outcome.done, wrong.success, wrong.progress) == (-100.0, True, False, 0.0)
    assert "scores -100" in caplog.text


@pytest.mark.parametrize("name", NAMES)
def test_ids_may_be_numbers_or_text(name):
    for make_id in (int, str):
        with FakeServer(name, make_id=make_id) as server:
            games = server.games()
            plays = [games.start(0), games.start(1)]
            assert all(not play.act("look").done for play in plays)
            assert set(server.played) == {make_id(0), make_id(1)}


def test_splits_are_disjoint_and_drawn_by_seed():
    games = ServerGames("sciworld", "http://localhost:1", num_tasks=1000)
    sizes = {"evaluation": 200, "validation": 70, "train": 600, "pretrain": 0}
    drawn = {split: games.indices(split, count, 0) for split, count in sizes.items()}
    everything = [index for indices in drawn.values() for index in indices]
    assert len(set(everything)) == len(everything) == 870
    assert set(everything) <= set(range(1000))
    assert games.indices("evaluation", 50, 0) == drawn["evaluation"][:50]
    assert games.indices("evaluation", 50, 1) != drawn["evaluation"][:50]


def test_more_items_move_none_to_another_split():
    few, many = (ServerGames("textcraft", "http://localhost:1", num_tasks=n) for n in (300, 600))
    trained_on = set(many.indices("train", 350, 0)) | set(many.indices("validation", 40, 0))
    assert not trained_on & set(few.indices("evaluation", 60, 0))


def test_asking_for_more_tasks_than_there_are_is_an_error():
    games = ServerGames("textcraft", "http://localhost:1")
    assert games.num_tasks == 474
    with pytest.raises(AffineError, match=r"has \d+ evaluation tasks; asked for 400; .* num_tasks \(474\)"):
        games.indices("evaluation", 400, 0)


def test_equal_items_of_two_servers_are_two_tasks_and_no_expert_knows_them():
    craft, house = (ServerGames(name, "http://localhost:1") for name in ("textcraft", "alfworld"))
    assert craft.info(3).content == {"server": "textcraft", "item": 3} != house.info(3).content
    with FakeServer("textcraft") as server:
        games = server.games()
        with pytest.raises(AffineError, match=r"no expert knows .*data\.agentgym\.base_urls\.textcraft"):
            games.expert(games.start(0))


def test_a_play_on_a_server_cannot_be_saved():
    with FakeServer("textcraft") as server:
        game = server.games().start(0)
        assert game.snapshot_kind == "none"
        with pytest.raises(AffineError, match="cannot be saved"):
            game.snapshot()
        with pytest.raises(AffineError, match="cannot be restored"):
            game.restore(b"")
