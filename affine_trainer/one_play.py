"""One play while it is played: begun or put back into a state, advanced reply by reply, graded at its end."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field

from affine_trainer.errors import AffineError
from affine_trainer.records import (
    Completion,
    Conversation,
    Environment,
    Grade,
    Message,
    State,
    StopReason,
    Task,
    TaskSet,
    Turn,
)

# What an environment raises for reasons that lie outside the reply: processes, sockets, simulators.
ENVIRONMENT_FAILURES = (OSError, RuntimeError, ValueError, LookupError)


@dataclass(slots=True)
class OnePlay:
    """One episode while it is played."""

    start: State
    conversation: Conversation
    keep_states: bool
    environment: Environment | None = None
    observation: str = ""
    states: list[State] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    stop_reason: StopReason | None = None
    error: str | None = None
    seconds: float = 0.0
    grade: Grade | None = None

    @property
    def task(self) -> Task:
        return self.start.task

    @property
    def num_turns(self) -> int:
        """Turns played, those before its start included."""
        return self.start.num_turns + len(self.turns)

    def fail(self, error: Exception) -> None:
        self.stop_reason, self.error = "error", f"{type(error).__name__}: {error}"


def conversation_at(state: State, goes_on: bool) -> Conversation:
    return Conversation(
        list(state.messages),
        list(state.token_ids),
        list(state.action_mask),
        list(state.logprobs),
        task=state.task,
        cache=state.cache,
        goes_on=goes_on,
        begun=state.begun,
    )


def _keep_state(game: OnePlay) -> None:
    if not game.keep_states:
        return
    talk, environment = game.conversation, _restorable(game)
    game.states.append(
        State(
            task=game.task,
            messages=tuple(talk.messages),
            token_ids=tuple(talk.token_ids),
            action_mask=tuple(talk.action_mask),
            logprobs=tuple(talk.logprobs),
            observation=game.observation,
            snapshot=environment.snapshot(),
            num_turns=game.num_turns,
            before=(*game.start.before, *game.turns),
        )
    )


def _restorable(game: OnePlay) -> Environment:
    """The environment of a play, which can go back to a state; AffineError where it cannot."""
    assert game.environment is not None
    if game.environment.snapshot_kind == "none":
        game.environment.close()
        raise AffineError(
            f"the environment of {game.task.key} cannot be put back into an earlier state, so no play of it "
            "can go on from one: play the embedded environment instead of a server, or leave it out"
        )
    return game.environment


def begin(game: OnePlay, task_set: TaskSet) -> None:
    """Start the environment and ask what it shows first, or put it back where the play goes on."""
    began = time.perf_counter()
    try:
        game.environment = task_set.start(game.task)
        game.conversation.environment = game.environment
        if game.start.snapshot is None:
            game.observation = game.environment.observe()
            if game.observation:
                game.conversation.messages.append(Message("user", game.observation))
        else:
            _restorable(game).restore(game.start.snapshot)
            game.observation = game.start.observation
        _keep_state(game)
    except ENVIRONMENT_FAILURES as error:
        game.fail(error)
    game.seconds += time.perf_counter() - began
    if game.stop_reason is not None:
        _conclude(game)


def advance(game: OnePlay, completion: Completion, last: bool) -> None:
    """Let the environment play one reply; what it shows becomes the next user message, or the play ends."""
    if completion.stop == "context":
        game.stop_reason = "token_limit"
    elif completion.stop == "error":
        game.stop_reason, game.error = "error", completion.error
    else:
        _step(game, completion)
    if last and game.stop_reason is None:
        game.stop_reason = "turn_limit"
    if game.stop_reason is not None:
        _conclude(game)


def _step(game: OnePlay, completion: Completion) -> None:
    assert game.environment is not None
    began = time.perf_counter()
    try:
        step = game.environment.step(completion.text)
    except ENVIRONMENT_FAILURES as error:
        game.fail(error)
        return
    finally:
        game.seconds += time.perf_counter() - began
    info = {**step.info, "stop": completion.stop}
    game.turns.append(Turn(game.observation, completion.text, step.reward, completion.num_tokens, info))
    if step.terminated or step.truncated:
        game.stop_reason = "terminated" if step.terminated else "turn_limit"
        return
    game.observation = step.observation
    game.conversation.messages.append(Message("user", step.observation))
    try:
        _keep_state(game)
    except ENVIRONMENT_FAILURES as error:
        game.fail(error)


def _conclude(game: OnePlay) -> None:
    """Grade the play, or note why it has no grade; the environment is closed either way."""
    game.conversation.cache = game.conversation.environment = None
    if game.environment is None:
        return
    began = time.perf_counter()
    try:
        if game.error is None:
            game.grade = game.environment.grade()
    except ENVIRONMENT_FAILURES as error:
        game.fail(error)
    with suppress(*ENVIRONMENT_FAILURES):  # a grade stands even where the environment cannot be closed
        game.environment.close()
    game.environment = None
    game.seconds += time.perf_counter() - began
    if game.grade is None and game.error is None:
        told = game.turns[-1].info.get("error") if game.turns else None
        game.stop_reason, game.error = "error", str(told or "the environment gave no grade")
