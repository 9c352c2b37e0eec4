"""One task by hand: its prompt, and the grade of one reply to it."""

from __future__ import annotations

import json

from affine_trainer.config import Config
from affine_trainer.envs import resolve_task
from affine_trainer.envs.stage_tasks import open_sandbox
from affine_trainer.errors import StageError


def task_prompt(config: Config, key: str) -> str:
    """What a model is asked; with several messages each is headed by its role."""
    _, task = resolve_task(key, config, sandbox=None)
    if len(task.prompt) == 1:
        return task.prompt[0].content
    return "\n\n".join(f"[{message.role}]\n{message.content}" for message in task.prompt)


def grade(config: Config, key: str, reply: str) -> str:
    """The grade of `reply` as JSON: task, rules, reward, success, why; StageError when there is none."""
    with open_sandbox(config) as sandbox:
        tasks, task = resolve_task(key, config, sandbox)
        environment = tasks.start(task)
        environment.step(reply)
        verdict = environment.grade()
        environment.close()
    if verdict is None:
        raise StageError(
            f"{task.key} could not be graded here: the sandbox failed; `affine doctor` says more"
        )
    return json.dumps(
        {
            "task": task.key,
            "rules": config.evaluation.rules,
            "reward": verdict.reward,
            "success": verdict.success,
            "why": verdict.why,
        },
        ensure_ascii=False,
    )
