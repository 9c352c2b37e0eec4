"""Scripted players of interactive environments: the expert, one who does nothing, one who acts at random."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from affine_trainer.envs.agents.environment import AgentEnvironment
from affine_trainer.envs.agents.game import Move
from affine_trainer.records import Completion, Conversation, Message, Sampling, seed_from

MAX_THREADS = 8


class Player(Protocol):
    """Chooses the next move of one play, of which it sees the environment and the last observation."""

    def __call__(self, environment: AgentEnvironment, observation: str, seed: int) -> Move: ...


def write_reply(move: Move, *, thoughts: bool) -> str:
    """A move in the reply form of the five environments."""
    return f"Thought: {move.thought}\nAction: {move.action}" if thoughts else f"Action: {move.action}"


def do_nothing(environment: AgentEnvironment, observation: str, seed: int) -> Move:
    """An action that changes nothing."""
    return Move("I wait.", environment.spec.do_nothing)


def act_at_random(environment: AgentEnvironment, observation: str, seed: int) -> Move:
    """Any action that was understood when the player last looked."""
    actions = environment.possible_actions() or [environment.spec.do_nothing]
    return Move("I try something.", random.Random(seed).choice(actions))


def follow_expert(environment: AgentEnvironment, observation: str, seed: int) -> Move:
    """What the environment's own expert does."""
    return environment.expert.move(observation)


@dataclass(frozen=True, slots=True)
class ScriptedAgent:
    """A player as a policy. A conversation's `environment` must be one of ours."""

    name: str
    player: Player
    thoughts: bool = False

    def reply(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        """One reply a conversation, appended to it; a Completion without tokens."""
        with ThreadPoolExecutor(MAX_THREADS) as pool:  # an expert may ask a simulator in another process
            return list(pool.map(lambda talk: self._reply(talk, sampling.seed), conversations))

    def _reply(self, conversation: Conversation, seed: int) -> Completion:
        environment = conversation.environment
        assert isinstance(environment, AgentEnvironment), "only interactive environments are played so"
        chosen = seed_from(seed, environment.task.key, len(conversation.messages))
        move = self.player(environment, conversation.messages[-1].content, chosen)
        text = write_reply(move, thoughts=self.thoughts)
        conversation.messages.append(Message("assistant", text))
        return Completion(text, (), (), "stop")


def expert_policy(*, thoughts: bool) -> ScriptedAgent:
    """The expert as a policy."""
    return ScriptedAgent("expert", follow_expert, thoughts)


PLAYERS: Mapping[str, Player] = {
    "oracle": follow_expert,
    "random": act_at_random,
    "do-nothing": do_nothing,
}
FLOORS = (ScriptedAgent("do-nothing", do_nothing), ScriptedAgent("random-action", act_at_random))
