"""custom:change, an environment of one reply: pay an amount exactly, with as few coins as possible."""

import random
import re

from affine_trainer.envs.single_turn import SingleTurn
from affine_trainer.envs.splits import draw_indices
from affine_trainer.records import Grade, Message, Task, seed_from, sha256_of


class Change:
    family, max_turns, max_reply_tokens, max_open = "v1", 1, 64, 1000

    def __init__(self, env):
        self.env = env

    def indices(self, split, count, seed):
        return draw_indices(self.env, self.family, split, count, seed)

    def tasks(self, indices):
        return [self.task(index) for index in indices]

    def task(self, index):
        coins, amount = self.problem(index)
        asked = f"Coins: {coins}. Pay {amount} exactly with as few coins as you can. Answer with a list."
        content = sha256_of({"coins": coins, "amount": amount})
        return Task(self.env, self.family, index, (Message("user", asked),), amount / 60, content)

    def problem(self, index):
        rng = random.Random(seed_from("change", index))
        return [1, *sorted(rng.sample(range(2, 40), 3))], rng.randint(10, 60)

    def start(self, task):
        return SingleTurn(task, lambda reply: self.grade(task, reply))

    def grade(self, task, reply):
        coins, amount = self.problem(task.index)
        paid, best = [int(number) for number in re.findall(r"\d{1,9}", reply)], len(fewest(coins, amount))
        if not set(paid) <= set(coins) or sum(paid) != amount:
            return Grade(0.0, False, f"{paid} does not pay {amount}")
        return Grade(best / len(paid), len(paid) == best, f"{len(paid)} coins, the fewest are {best}")

    def expert_reply(self, task):
        return str(fewest(*self.problem(task.index)))


def fewest(coins, amount):
    ways = [[]]
    for total in range(1, amount + 1):
        ways.append(min((ways[total - coin] + [coin] for coin in coins if coin <= total), key=len))
    return ways[amount]
