"""The pretraining text of the embedded model: easy single-turn tasks, exercises, and agent transcripts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from affine_trainer.config import Config
from affine_trainer.envs import task_set
from affine_trainer.envs.programs import generate
from affine_trainer.envs.programs.table import FAMILIES
from affine_trainer.envs.prompts import load_templates
from affine_trainer.envs.splits import SPLIT_RANGES
from affine_trainer.records import Message, Task, TaskSet, seed_from
from scripts.nano import plays
from scripts.nano.number_recipes import Recipe
from scripts.nano.recipes import recipe, reversible_recipe

# Shares of documents. What the pipeline will teach in earnest is here at its easiest setting.
SHARES = {
    "affine:sat": 0.05,
    "affine:abd": 0.05,
    "affine:ded": 0.06,
    "recipe": 0.22,
    "reversible recipe": 0.34,
    "recipe run": 0.19,
    "program run": 0.04,
    **dict.fromkeys(plays.NAMES, 0.0115),
    "sciworld": 0.004,
}


Transcript = list[Message]


class Mixture:
    """Document `number` is a pure function of (seed, number)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.task_sets = {
            "affine:sat": own_tasks("affine:sat", "tiny"),
            "affine:abd": own_tasks("affine:abd", "generated-v1"),
            "affine:ded": own_tasks("affine:ded", "generated-v1"),
        }
        self.family_programs = {
            family.source(parameters) for family in FAMILIES.values() for parameters in family.combinations
        }
        self.templates = load_templates(None)

    def document(self, number: int) -> Transcript:
        """The messages of one document."""
        rng = random.Random(seed_from("nano", self.seed, number))
        source = rng.choices(list(SHARES), weights=list(SHARES.values()))[0]
        if source in plays.NAMES:
            return plays.played(source, rng)
        if source == "recipe":
            return self.written_recipe(self.draw_recipe(rng))
        if source == "reversible recipe":
            return self.input_to_find(self.draw_recipe(rng, reversible_recipe))
        if source == "recipe run":
            made = self.draw_recipe(rng)
            return program_run(made.program, made.stdin, made.stdout)
        if source == "program run":
            row = generate(self.draw_task("affine:abd", rng).index)
            return program_run(row.program, row.inputs, row.output)
        return solved_task(self.task_sets[source], self.draw_task(source, rng))

    def draw_recipe(self, rng: random.Random, draw: Callable[[random.Random], Recipe] = recipe) -> Recipe:
        """A recipe whose program is none of any family's."""
        made = draw(rng)
        return self.draw_recipe(rng, draw) if made.program in self.family_programs else made

    def written_recipe(self, made: Recipe) -> Transcript:
        """A recipe, posed and answered as DED poses its problems."""
        prompt = self.templates["ded"].fill(prompt=made.statement)
        return [*prompt, Message("assistant", f"```python\n{made.program}\n```")]

    def input_to_find(self, made: Recipe) -> Transcript:
        """A recipe, posed and answered as ABD poses its problems."""
        prompt = self.templates["abd"].fill(program=made.program, output=made.stdout)
        return [*prompt, Message("assistant", f"<INPUT>\n{made.stdin}\n</INPUT>")]

    def draw_task(self, env: str, rng: random.Random) -> Task:
        """A task of the pretraining split, which shares no content with any other."""
        [task] = self.task_sets[env].tasks([rng.choice(SPLIT_RANGES["pretrain"])])
        return task

    def documents(self, first: int, last: int) -> Iterator[Transcript]:
        """Documents `first` to `last - 1`."""
        return map(self.document, range(first, last))


def own_tasks(env: str, family: str) -> TaskSet:
    """A task set of ours in the default wording, to be read and not played."""
    return task_set(env, family, config=Config(), sandbox=None)


def solved_task(tasks: TaskSet, task: Task) -> Transcript:
    """A task and its expert reply."""
    return [*task.prompt, Message("assistant", tasks.expert_reply(task) or "")]


def program_run(program: str, stdin: str, stdout: str) -> Transcript:
    """A program, its input, and what it prints: the forward direction of ABD."""
    question = f"What does this program print?\n```python\n{program}\n```\nInput:\n```\n{stdin}\n```"
    return [Message("user", question), Message("assistant", f"```\n{stdout}\n```")]


def tokenizer_texts(seed: int, count: int) -> Iterator[str]:
    """Message contents to learn the merges from: half of the mixture's, half of the train split's.

    The train split is here for the words of the program families that pretraining leaves out.
    """
    mixture = Mixture(seed)
    for messages in mixture.documents(0, count // 2):
        yield from (message.content for message in messages)
    train = {"affine:sat": "small", "affine:abd": "generated-v1", "affine:ded": "generated-v1"}
    for env, family in train.items():
        tasks = own_tasks(env, family)
        for task in tasks.tasks(tasks.indices("train", count // 6, seed)):
            yield from (message.content for message in solved_task(tasks, task))
