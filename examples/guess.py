"""custom:guess, an environment of several turns: find a number, told what it lies between each time."""

import json
import random
import re

from affine_trainer.envs.splits import draw_indices
from affine_trainer.records import Grade, Message, Step, Task, seed_from, sha256_of


class Guess:
    family, max_turns, max_reply_tokens, max_open = "v1", 8, 16, 1000

    def __init__(self, env):
        self.env = env

    def indices(self, split, count, seed):
        return draw_indices(self.env, self.family, split, count, seed)

    def tasks(self, indices):
        return [self.task(index) for index in indices]

    def task(self, index):
        low, high, number = self.problem(index)
        rules = (Message("user", "Find my number. Reply with a number alone."), Message("assistant", "OK."))
        content = sha256_of({"low": low, "high": high, "number": number})
        return Task(self.env, self.family, index, rules, (high - low) / 100, content)

    def problem(self, index):
        rng = random.Random(seed_from("guess", index))
        low = rng.randint(0, 99_900)
        high = low + rng.randint(20, 99)
        return low, high, rng.randint(low, high)

    def start(self, task):
        return Play(task, *self.problem(task.index))

    def expert_reply(self, task):
        return None  # no single reply solves it; Play.expert_reply gives them one by one


class Play:
    snapshot_kind = "exact"

    def __init__(self, task, low, high, number):
        self.task, self.low, self.high, self.number, self.found = task, low, high, number, False

    def observe(self):
        return f"It is between {self.low} and {self.high}."

    def step(self, reply):
        digits = re.search(r"\d{1,9}", reply)
        guess = int(digits[0]) if digits else -1
        self.found = guess == self.number
        if self.low <= guess < self.number:
            self.low = guess + 1
        elif self.number < guess <= self.high:
            self.high = guess - 1
        return Step(self.observe(), float(self.found), terminated=self.found, truncated=False)

    def grade(self):
        return Grade(float(self.found), self.found, f"the number was {self.number}")

    def snapshot(self):
        return json.dumps([self.low, self.high, self.found]).encode()

    def restore(self, state):
        self.low, self.high, self.found = json.loads(state)

    def close(self):
        pass

    def expert_reply(self):
        return str((self.low + self.high) // 2)
