"""Grades thousands of reference answers, mutated ones and trivial policies in every family.

Prints one line a family: how many own references pass (must be all), how many mutated ones are rejected, the
score of each trivial policy, and the rate of grading. `python benchmarks/graders.py --tasks 2000`
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from affine_trainer.config import Config
from affine_trainer.envs import grade_reply, task_set
from affine_trainer.envs.parsing import extract_input, extract_program, parse_assignment
from affine_trainer.envs.sat import FAMILIES as SAT_FAMILIES
from affine_trainer.envs.sat import write_assignment
from affine_trainer.envs.splits import SPLIT_RANGES
from affine_trainer.policies.scripted import TRIVIAL_POLICIES
from affine_trainer.records import Conversation, Grade, Sampling, Task, TaskSet
from affine_trainer.sandbox import Sandbox

SAMPLING = Sampling(temperature=0.0, top_p=1.0, max_new_tokens=1, seed=0)


def mutated_assignment(prompt: str, reply: str) -> str:
    """The assignment changed so that the formula's first clause is false."""
    first_clause = prompt[prompt.index("(") : prompt.index(")")]
    false = {int(variable): bool(sign) for sign, variable in re.findall(r"(¬?)x(\d+)", first_clause)}
    return write_assignment((parse_assignment(reply) | false).items())


def mutated_input(prompt: str, reply: str) -> str:
    """The input without its last line."""
    lines = (extract_input(reply) or "").splitlines()
    return "\n".join(["<INPUT>", *lines[:-1], "</INPUT>"])


def mutated_program(prompt: str, reply: str) -> str:
    """The program with an exclamation mark before everything it prints."""
    spoiled = "import builtins\nprint = lambda *values, **how: builtins.print('!', *values, **how)\n"
    return f"```python\n{spoiled}{extract_program(reply)}\n```"


MUTATIONS: dict[str, Callable[[str, str], str]] = {
    "affine:sat": mutated_assignment,
    "affine:abd": mutated_input,
    "affine:ded": mutated_program,
}


def passed(tasks: TaskSet, asked: Sequence[Task], replies: Sequence[str], threads: int) -> int:
    """How many replies pass; ends the program where one cannot be graded."""

    def grade(task: Task, reply: str) -> Grade:
        found = grade_reply(tasks, task, reply)
        if found is None:
            raise SystemExit(f"{task.key} could not be graded")
        return found

    with ThreadPoolExecutor(threads) as pool:
        return sum(found.success for found in pool.map(grade, asked, replies))


def tasks_of(tasks: TaskSet, count: int) -> list[Task]:
    """As many tasks of each split as make up `count`; of unseen families only evaluation exists."""
    if tasks.family == "heldout-v1":
        return tasks.tasks(tasks.indices("evaluation", count, 0))
    share = count // len(SPLIT_RANGES)
    return [task for split in SPLIT_RANGES for task in tasks.tasks(tasks.indices(split, share, 0))]


def report(tasks: TaskSet, count: int, threads: int) -> None:
    asked = tasks_of(tasks, count)
    references = [tasks.expert_reply(task) or "" for task in asked]
    start = time.perf_counter()
    accepted = passed(tasks, asked, references, threads)
    seconds = time.perf_counter() - start
    mutate = MUTATIONS[tasks.env]
    mutations = [mutate(task.prompt[0].content, reply) for task, reply in zip(asked, references, strict=True)]
    rejected = len(asked) - passed(tasks, asked, mutations, threads)
    trivial = []
    for policy in TRIVIAL_POLICIES[tasks.env]:
        completions = policy.reply([Conversation(list(task.prompt), task=task) for task in asked], SAMPLING)
        score = passed(tasks, asked, [completion.text for completion in completions], threads) / len(asked)
        trivial.append(f"{policy.name} {score:.1%}")
    name, total = f"{tasks.env}@{tasks.family}", len(asked)
    print(f"{name:24} references {accepted}/{total}  mutated rejected {rejected}/{total}  ", end="")
    print(f"{', '.join(trivial)}  {total / seconds:.0f} grades/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tasks", type=int, default=2000, help="tasks a family")
    parser.add_argument("--workers", type=int, default=2, help="sandbox workers")
    arguments = parser.parse_args()
    families = {"affine:sat": tuple(SAT_FAMILIES)} | dict.fromkeys(
        ("affine:abd", "affine:ded"), ("generated-v1", "heldout-v1")
    )
    with Sandbox(workers=arguments.workers) as sandbox:
        for env, names in families.items():
            for name in names:
                report(
                    task_set(env, name, config=Config(), sandbox=sandbox), arguments.tasks, arguments.workers
                )


if __name__ == "__main__":
    main()
