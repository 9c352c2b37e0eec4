"""Many episodes at once on a server are those of the embedded engine, or errors without a grade."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest

from affine_trainer.envs.agents.game import Expert
from affine_trainer.envs.agents.spec import SPECS
from affine_trainer.envs.agents.tasks import AgentTasks, Play
from affine_trainer.envs.alfworld import AlfWorldGames
from affine_trainer.policies.scripted import ScriptedPolicy
from affine_trainer.records import Completion, Conversation, Message, Sampling, TaskGroup
from affine_trainer.rollout import play
from tests.envs.agents.fake_server import LIMITS, FakeServer
from tests.envs.agents.fake_worlds import TextCraft

SAMPLING = Sampling(temperature=0.0, top_p=1.0, max_new_tokens=64, seed=0)
ROUNDS = 20


class Player:
    """Plays each conversation as the embedded expert does, from the observations alone."""

    name = "player"

    def __init__(self, games=TextCraft.games) -> None:
        self.games = games
        self.experts: dict[int, Expert] = {}
        self.met: list[Conversation] = []  # kept alive, so that no id is given out anew

    def reply(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        completions = []
        for conversation in conversations:
            self.met.append(conversation)
            expert = self.experts.setdefault(id(conversation), self.games.expert(None))
            move = expert.move(conversation.messages[-1].content)
            text = f"Thought: {move.thought}\nAction: {move.action}"
            conversation.messages.append(Message("assistant", text))
            completions.append(Completion(text, (), (), "stop"))
        return completions


def episodes(games, indices, policy, chunk_size=64):
    tasks = AgentTasks(games, SPECS[games.env.partition(":")[2]], "rules", Play(ROUNDS, 64, "none", 1.0))
    group = TaskGroup(tasks, tasks.tasks(indices))
    return play([group], policy, SAMPLING, seed=0, chunk_size=chunk_size)[0]


def what_happened(episode):
    turns = [(turn.observation, turn.reply, turn.reward) for turn in episode.turns]
    return turns, episode.grade, episode.stop_reason, episode.error


def counting(prompt, rng):
    """An action that differs from turn to turn."""
    counting.number += 1
    return f"Action: get {counting.number} stone"


counting.number = 0


@pytest.mark.parametrize("embedded", [TextCraft.games, AlfWorldGames(list_actions=True)])
def test_sixty_four_episodes_at_once_are_those_of_the_embedded_engine(embedded):
    with FakeServer(embedded.env.partition(":")[2]) as server:
        games = server.games()
        indices = games.indices("evaluation", 64, 0)
        there = episodes(games, indices, Player(embedded))
        assert (games.num_open, server.world.num_created) == (0, 64)
        assert server.num_open == (0 if server.world.can_close else 64)
    here = episodes(embedded, indices, Player(embedded))
    assert [what_happened(episode) for episode in there] == [what_happened(episode) for episode in here]
    assert sum(episode.grade.success for episode in there) > 40
    assert [episode.task_key for episode in there] == [f"{games.env}@server/{index}" for index in indices]


def test_with_faults_every_episode_is_graded_as_without_them_or_is_an_error_without_a_grade():
    faults = ["failed", "error", "dropped", "crashed", "lost", "garbage", {"reward": None}]
    unnamed = []  # instances whose ids never arrive

    def script(path, body, number):
        if path == "step" and number % 13 == 5:
            return faults[number // 13 % len(faults)]
        if path in ("create", "reset", "close") and number % 9 == 4:
            fault = ["refused", "failed", "lost"][number // 9 % 3]
            unnamed.extend([number] if (path, fault) == ("create", "lost") else [])
            return fault
        return "refused" if path == "step" and number % 17 == 3 else None

    with FakeServer("textcraft") as server:
        games = server.games()
        server.script = script
        there = episodes(games, range(64), Player())
        assert (games.num_open, server.num_open) == (0, len(unnamed))
    here = episodes(TextCraft.games, range(64), Player())
    assert len(there) == 64
    failed = [episode for episode in there if episode.error]
    assert 5 < len(failed) < 60
    for episode, alike in zip(there, here, strict=True):
        if episode.error:
            assert (episode.grade, episode.stop_reason) == (None, "error")
            assert "Error: agentgym:textcraft: " in episode.error
            assert len(episode.turns) < len(alike.turns)
        else:
            assert what_happened(episode) == what_happened(alike)


def test_no_action_is_played_twice_whatever_goes_wrong():
    faults = ["refused", "lost", "failed", "crashed", "dropped", "garbage"]
    with FakeServer("textcraft") as server:
        server.script = lambda path, body, number: faults[number % 50] if number % 50 < 6 else None
        found = episodes(server.games(), range(64), ScriptedPolicy("counting", counting))
        assert len(found) == 64 and any(episode.error for episode in found)
        played = [action for actions in server.played.values() for action in actions]
        assert len(set(played)) == len(played) >= sum(len(episode.turns) for episode in found)


def test_a_server_that_dies_in_the_middle_costs_episodes_as_errors_and_no_zeros():
    with FakeServer("textcraft") as server:
        games = server.games(replace(LIMITS, retries=1))
        player = Player()
        before = {}

        def dies(conversations, sampling):
            before.setdefault(len(before), len(conversations))
            if len(before) == 5:
                server.kill()
            return Player.reply(player, conversations, sampling)

        player.reply = dies
        found = episodes(games, range(64), player)
        assert games.num_open == 0
        server.restart()
    failed = [episode for episode in found if episode.error]
    assert len(found) == 64 and len(failed) == before[4]
    assert {(episode.grade, episode.stop_reason, len(episode.turns)) for episode in failed} == {
        (None, "error", 4)
    }
    assert all("no connection" in episode.error for episode in failed)
    assert all(episode.grade.success for episode in found if not episode.error)


def test_episodes_for_which_the_server_has_no_place_are_errors_that_say_so():
    with FakeServer("textcraft") as server:
        games = server.games(replace(LIMITS, max_open=8, slot_timeout=0.05))
        found = episodes(games, range(32), Player())
        assert server.num_open == 0
    placed = [episode for episode in found if not episode.error]
    assert len(placed) >= 8 and all(episode.grade.success for episode in placed)
    assert all("raise max_open" in episode.error for episode in found if episode.error)


@pytest.mark.parametrize("ending", ["raise KeyboardInterrupt", "raise ValueError", "sys.exit(3)"])
def test_a_program_that_ends_in_the_middle_closes_its_instances(ending):
    program = f"""
import sys
from affine_trainer.envs.agents.server import ServerGames
games = ServerGames("textcraft", sys.argv[1])
plays = [games.start(index) for index in range(5)]
plays[0].act("inventory")
{ending}
"""
    with FakeServer("textcraft") as server:
        done = subprocess.run([sys.executable, "-c", program, server.url], capture_output=True, text=True)
        assert done.returncode != 0
        assert server.world.num_created == 5, done.stderr
        assert server.num_open == 0, done.stderr


def test_an_interrupt_while_many_episodes_are_played_leaves_none_open_after_closing():
    with FakeServer("textcraft") as server:
        games = server.games()

        def interrupts(prompt, rng):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            episodes(games, range(64), ScriptedPolicy("interrupts", interrupts))
        assert games.num_open == server.num_open == 64
        games.close()
        assert (games.num_open, server.num_open) == (0, 0)
