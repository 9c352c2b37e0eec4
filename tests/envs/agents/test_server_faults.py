"""What goes wrong on a server is an error, no action is sent twice, and every instance is closed."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from affine_trainer.envs.agents.server import AnswerLostError, ServerError, ServerGames
from affine_trainer.errors import AffineError
from tests.envs.agents.fake_server import LIMITS, FakeServer

NAMES = ("webshop", "alfworld", "babyai", "sciworld", "textcraft")
IMPATIENT = replace(LIMITS, timeout=1.0)


def only(path, fault, times=1):
    """The fault for the first requests of a path."""
    return lambda asked, body, number: fault if asked == path and number < times else None


@pytest.mark.parametrize("fault", ["failed", "error", "dropped", "crashed", "lost", "garbage"])
@pytest.mark.parametrize("name", NAMES)
def test_a_failed_step_is_an_error_and_is_never_sent_again(name, fault):
    with FakeServer(name) as server:
        games = server.games()
        game = games.start(0)
        server.script = only("step", fault)
        with pytest.raises(ServerError, match=rf"^agentgym:{name}: POST http://.*/step: "):
            game.act("look")
        assert server.asked["step"] == 1
        with pytest.raises(ServerError, match="the play is over"):
            game.act("look")
        assert server.asked["step"] == 1
        game.close()
        assert games.num_open == 0
        if server.world.can_close:
            assert server.num_open == 0


@pytest.mark.parametrize(
    "answer", [{"observation": 3}, {"reward": "much"}, {"reward": float("nan")}, {"done": None}]
)
def test_an_answer_of_another_shape_is_an_error(answer):
    with FakeServer("textcraft") as server:
        game = server.games().start(0)
        server.script = only("step", answer)
        with pytest.raises(ServerError, match=rf"the answer has .*{next(iter(answer))}"):
            game.act("inventory")


@pytest.mark.parametrize("name", NAMES)
def test_a_busy_server_is_asked_again(name):
    with FakeServer(name) as server:
        games = server.games()
        server.script = lambda path, body, number: "refused" if number < 3 else None
        game = games.start(0)
        assert not game.act("look").done
        game.close()
        assert server.asked["step"] == 4 and server.num_played == 1
        assert games.num_open == 0


def test_a_server_that_stays_busy_is_an_error_and_nothing_was_played():
    with FakeServer("textcraft") as server:
        game = server.games().start(0)
        server.script = lambda path, body, number: "refused" if path == "step" else None
        with pytest.raises(ServerError, match="too busy"):
            game.act("inventory")
        assert server.asked["step"] == LIMITS.retries + 1 and server.num_played == 0


def test_an_answer_that_comes_too_late_is_an_error_and_the_step_is_played_once():
    with FakeServer("textcraft") as server:
        games = server.games(IMPATIENT)
        game = games.start(0)
        server.script = only("step", "slow")
        with pytest.raises(ServerError, match=r"no answer within 1 s"):
            game.act("inventory")
        game.close()
        server.released.set()
        assert server.asked["step"] == 1
        assert (games.num_open, server.num_open) == (0, 0)


@pytest.mark.parametrize("fault", ["failed", "dropped", "crashed", "lost"])
@pytest.mark.parametrize("path", ["create", "reset"])
@pytest.mark.parametrize("name", NAMES)
def test_a_play_whose_beginning_was_lost_begins_on_another_instance(name, path, fault):
    with FakeServer(name) as server:
        games = server.games()
        server.script = only(path, fault, times=2)
        game = games.start(3)
        assert not game.act("look").done
        assert server.asked["reset"] == (3 if path == "reset" else 1)
        game.close()
        assert games.num_open == 0
        if server.world.can_close and path == "reset":
            assert server.num_open == 0


@pytest.mark.parametrize("fault", ["error", "garbage", "slow"])
def test_what_another_instance_would_not_mend_is_not_tried_again(fault):
    with FakeServer("sciworld") as server:
        games = server.games(IMPATIENT)
        server.script = lambda path, body, number: fault if path == "reset" else None
        with pytest.raises(ServerError, match="/reset: "):
            games.start(0)
        server.released.set()
        assert server.asked["reset"] == 1
        assert (games.num_open, server.num_open) == (0, 0)


def test_a_create_whose_answer_was_lost_is_logged(caplog):
    with FakeServer("textcraft") as server:
        server.script = only("create", "lost")
        server.games().start(0)
    assert "an instance may stay open whose id did not arrive" in caplog.text


def test_a_close_whose_answer_was_lost_is_sent_again():
    with FakeServer("textcraft") as server:
        game = server.games().start(0)
        server.script = only("close", "dropped", times=2)
        game.close()
        game.close()
        assert server.asked["close"] == 3
        assert server.num_open == 0


def test_an_instance_that_cannot_be_closed_is_logged(caplog):
    with FakeServer("textcraft") as server:
        games = server.games()
        game = games.start(0)
        server.script = lambda path, body, number: "failed" if path == "close" else None
        game.close()
        assert games.num_open == 0
    assert "instance 0 stays open on the server" in caplog.text


@pytest.mark.parametrize("name", ["webshop", "alfworld"])
def test_without_close_a_server_never_holds_more_instances_than_are_played_at_once(name):
    with FakeServer(name) as server:
        games = server.games()
        for index in range(10):
            both = [games.start(index), games.start(index + 1)]
            assert both[0].observe() != both[1].observe()
            for game in both:
                game.act("look")
                game.close()
        assert server.num_open == server.world.num_created == 2
        assert server.asked["close"] == 1


def test_where_a_newer_server_has_close_it_is_used():
    with FakeServer("webshop", can_close=True) as server:
        server.games().start(0).close()
        assert server.num_open == 0


def test_an_instance_that_failed_is_not_played_again():
    with FakeServer("alfworld") as server:
        games = server.games()
        game = games.start(0)
        server.script = only("step", "lost")
        with pytest.raises(AnswerLostError):
            game.act("look")
        game.close()
        games.start(0)
        assert server.world.num_created == 2


def test_a_server_killed_in_the_middle_is_an_error_and_a_new_one_plays_on():
    with FakeServer("textcraft") as server:
        games = server.games()
        cut, waiting = games.start(0), games.start(1)
        cut.act("inventory")
        server.kill()
        with pytest.raises(ServerError, match="no connection"):
            cut.act("inventory")
        cut.close()
        server.restart()
        fresh = [games.start(2), games.start(3)]
        with pytest.raises(ServerError, match="the play is over"):
            waiting.act("inventory")  # its id belongs to another play now
        waiting.close()
        assert server.num_open == 2
        for game in fresh:
            assert not game.act("inventory").done
            game.close()
        assert (games.num_open, server.num_open) == (0, 0)


def test_used_instances_that_a_new_server_does_not_know_are_forgotten():
    with FakeServer("alfworld") as server:
        games = server.games()
        plays = [games.start(index) for index in range(6)]
        for game in plays:
            game.close()
        server.kill()
        server.restart()
        assert not games.start(0).act("look").done


def test_a_step_waits_for_a_server_that_is_away_for_a_moment():
    with FakeServer("textcraft") as server:
        game = server.games(replace(LIMITS, retries=8)).start(0)
        server.kill()
        threading.Timer(0.1, server.restart, [server.world]).start()
        assert game.act("inventory").observation.startswith("Inventory")
        assert server.num_played == 1


def test_no_more_instances_are_open_than_allowed():
    with FakeServer("textcraft") as server:
        games = server.games(replace(LIMITS, max_open=2))
        first, second = games.start(0), games.start(1)
        with pytest.raises(ServerError, match=r"all 2 instances stayed in use .* raise max_open"):
            games.start(2)
        assert server.num_open == 2
        first.close()
        third = games.start(2)
        assert server.num_open == 2
        second.close()
        third.close()
        assert server.num_open == 0


def test_a_place_is_free_again_after_a_play_that_could_not_begin():
    with FakeServer("textcraft") as server:
        games = server.games(replace(LIMITS, max_open=1))
        for path in ("create", "reset"):
            server.script = lambda asked, body, number, path=path: "error" if asked == path else None
            with pytest.raises(ServerError, match="no such thing"):
                games.start(0)
        server.script = only("", None)
        games.start(0)


def test_every_request_has_a_connection_of_its_own():
    with FakeServer("webshop") as server:
        game = server.games().start(0)
        for _ in range(5):
            game.act("look")
        assert server.num_connections == sum(server.asked.values()) == 7


def test_closing_the_games_closes_every_play():
    with FakeServer("textcraft") as server:
        games = server.games()
        plays = [games.start(index) for index in range(5)]
        games.close()
        assert (games.num_open, server.num_open) == (0, 0)
        with pytest.raises(ServerError, match="the play is over"):
            plays[0].act("inventory")
        plays[0].close()
        games.start(0).close()
        assert server.num_open == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_server_that_is_there_passes_the_check(name):
    with FakeServer(name) as server:
        server.games().check()


def test_a_server_that_is_not_there_is_one_clear_sentence():
    with FakeServer("webshop") as server:
        games = server.games()
        server.kill()
        with pytest.raises(AffineError, match="no server answers") as told:
            games.check()
        server.restart()
    assert str(told.value) == (
        f"data.agentgym.base_urls.webshop: no server answers at {server.url}: no connection "
        "([Errno 111] Connection refused); start it or correct the address"
    )


def test_the_server_of_another_environment_is_named():
    with FakeServer("textcraft") as server:
        games = ServerGames("babyai", server.url)
        with pytest.raises(AffineError, match=r"base_urls\.babyai: .* plays agentgym:textcraft"):
            games.check()


def test_a_server_that_fails_does_not_pass_the_check():
    with FakeServer("textcraft") as server:
        server.script = only("", "failed")
        with pytest.raises(AffineError, match=r"base_urls\.textcraft: .* status 500"):
            server.games().check()


@pytest.mark.parametrize("url", ["", "localhost:36001", "ftp://x", "http://", "http://x?y=1", "http://[x"])
def test_what_is_no_address_is_an_error_that_names_the_key(url):
    with pytest.raises(AffineError, match=r"^data\.agentgym\.base_urls\.webshop: .* is no address"):
        ServerGames("webshop", url)


def test_an_unknown_environment_is_an_error():
    with pytest.raises(AffineError, match=r"base_urls\.webarena: no such environment; pick from webshop"):
        ServerGames("webarena", "http://localhost:1")
