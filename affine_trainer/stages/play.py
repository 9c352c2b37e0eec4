"""One task played in the terminal: by a person, or by a scripted player while a person looks on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich
from rich.text import Text

from affine_trainer.config import Config
from affine_trainer.errors import AffineError
from affine_trainer.records import Grade

if TYPE_CHECKING:
    from affine_trainer.envs.agents.environment import AgentEnvironment


def play(config: Config, key: str, player: str) -> Grade:
    """Play the task of `key` to its end and show the score; AffineError for a task of a single turn."""
    from affine_trainer.envs import resolve_task
    from affine_trainer.envs.agents.tasks import AgentTasks

    tasks, task = resolve_task(key, config, sandbox=None)
    if not isinstance(tasks, AgentTasks) and tasks.max_turns > 1:
        raise AffineError(f"{task.key} is not of AgentGym's environments, which alone are played by hand")
    if not isinstance(tasks, AgentTasks):
        raise AffineError(
            f"{task.key} is answered in one reply: see `affine task {task.key}` and "
            f"`affine grade {task.key} < reply.txt`"
        )
    show(task.prompt[0].content, "dim")
    environment = tasks.start(task)
    try:
        _turns(environment, player, tasks.max_turns)
        grade = environment.grade()
    finally:
        environment.close()
    show(
        f"{task.key}: score {grade.reward:g}, {'solved' if grade.success else 'not solved'} ({grade.why})",
        "bold",
    )
    return grade


def _turns(environment: AgentEnvironment, player: str, most: int) -> None:
    """Turn by turn; Ctrl-D and Ctrl-C end the play, whose score so far stands."""
    observation = environment.observe()
    show(observation)
    for turn in range(1, most + 1):
        try:
            reply = _reply(environment, observation, player, turn)
        except (EOFError, KeyboardInterrupt):
            show("")
            return
        step = environment.step(reply)
        observation = step.observation
        show(observation)
        if step.terminated or step.truncated:
            return


def _reply(environment: AgentEnvironment, observation: str, player: str, turn: int) -> str:
    from affine_trainer.envs.agents.players import PLAYERS, write_reply
    from affine_trainer.records import seed_from

    if player == "me":
        typed = input(f"{turn}> ").strip()
        return typed if "Action:" in typed else f"Action: {typed}"
    move = PLAYERS[player](environment, observation, seed_from("play", environment.task.key, turn))
    reply = write_reply(move, thoughts=player == "oracle")
    show(reply, "cyan")
    return reply


def show(text: str, style: str = "") -> None:
    rich.get_console().print(Text(text), style=style, soft_wrap=True, highlight=False)
