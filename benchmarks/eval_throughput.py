"""Evaluation in batches against a loop of single `model.generate` calls on the same tasks, graded alike.

    python benchmarks/eval_throughput.py --tasks 256 --rounds 5

Both ways play the fixed evaluation tasks greedily through the one rollout, in the chunks of `affine eval`,
programs in the sandbox included; only how replies are made differs. They take turns, so that other load on
the machine meets both. Replies are compared. Each environment is played alone, then all of them in one go,
as `affine eval` does.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch
from scipy.stats import t as student

from affine_trainer.config import load_config
from affine_trainer.envs.stage_tasks import evaluation_tasks, open_sandbox
from affine_trainer.policies.decoding import Decoded
from affine_trainer.policies.hf import HFPolicy, load_policy, pad_token_id
from affine_trainer.records import REFILLS, Completion, Conversation, Episode, Sampling, TaskGroup
from affine_trainer.rollout import play


class OneByOne(HFPolicy):
    """Replies by one `model.generate` call a conversation, as a plain evaluation script makes them."""

    def _replies(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        return [self._append_reply(talk, self._generated(talk, sampling)) for talk in conversations]

    def _generated(self, conversation: Conversation, sampling: Sampling) -> Decoded:
        ids = torch.tensor([conversation.token_ids], device=self.model.device)
        model: Any = self.model
        output = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=sampling.max_new_tokens,
            eos_token_id=sorted(self.stop_ids),
            pad_token_id=pad_token_id(self.tokenizer),
        )
        new = output[0, ids.shape[1] :].tolist()
        return Decoded(new, [0.0] * len(new), stopped=new[-1] in self.stop_ids)


def timed(
    groups: Sequence[TaskGroup], policy: HFPolicy, sampling: Sampling, batch: int
) -> tuple[float, list[Episode]]:
    """Seconds, and what was played."""
    began = time.perf_counter()
    episodes = play(groups, policy, sampling, seed=0, chunk_size=batch, refills=REFILLS)
    return time.perf_counter() - began, [episode for group in episodes for episode in group]


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Geometric mean and its 95 % interval (Student's t on the logarithms of the rounds' ratios)."""
    logs = [math.log(ratio) for ratio in ratios]
    mean = statistics.mean(logs)
    if len(logs) < 2:
        return math.exp(mean), 0.0, math.inf
    half = float(student.ppf(0.975, len(logs) - 1)) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def equal_replies(ours: Sequence[Episode], theirs: Sequence[Episode]) -> int:
    return sum(
        [turn.reply for turn in mine.turns] == [turn.reply for turn in other.turns]
        for mine, other in zip(ours, theirs, strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="nano", help="nano, a folder or a hub id")
    parser.add_argument("--tasks", type=int, default=256, help="of each environment")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--environments", nargs="*", default=["sat", "abd", "ded"])
    parser.add_argument("--agents", nargs="*", default=[], help="interactive environments")
    args = parser.parse_args()
    changes = [
        f"data.affine.environments=[{', '.join(args.environments)}]",
        f"data.agentgym.environments=[{', '.join(args.agents)}]",
        f"evaluation.num_samples={args.tasks}",
        f"evaluation.agent_samples={args.tasks}",
        f"evaluation.batch_size={args.batch}",
        "evaluation.unseen_family_samples=0",
    ]
    config = load_config(None, changes)
    ours = load_policy(args.model, config, "batched")
    theirs = OneByOne(
        ours.model,
        ours.tokenizer,
        name="one by one",
        max_prompt_tokens=ours.max_prompt_tokens,
        max_episode_tokens=ours.max_episode_tokens,
    )
    sampling = Sampling(0.0, 1.0, config.model.max_new_tokens, seed=0)
    with open_sandbox(config) as sandbox:
        groups = evaluation_tasks(config, sandbox)
        timed([TaskGroup(g.task_set, g.tasks[:2]) for g in groups], ours, sampling, args.batch)  # warms up
        for group in groups:
            report(group.name, [group], ours, theirs, sampling, args)
        if len(groups) > 1:
            report("all together", groups, ours, theirs, sampling, args)


def report(
    name: str, groups: Sequence[TaskGroup], ours: HFPolicy, theirs: HFPolicy, sampling: Sampling, args: Any
) -> None:
    """Measure some environments and print a line about them."""
    num_tasks = sum(len(group.tasks) for group in groups)
    ratios, seconds, equal = [], [], 0
    for _ in range(args.rounds):
        single, loop = timed(groups, theirs, sampling, args.batch)
        batched, episodes = timed(groups, ours, sampling, args.batch)
        ratios.append(single / batched)
        seconds.append((batched, single))
        equal = equal_replies(episodes, loop)
    middle, lower, upper = interval(ratios)
    batched, single = (statistics.median(column) for column in zip(*seconds, strict=True))
    print(
        f"{name}: {num_tasks / batched:.1f} tasks/s in batches of {args.batch}, "
        f"{num_tasks / single:.2f} one by one: {middle:.1f} x (95 % interval "
        f"{lower:.1f} to {upper:.1f}, {args.rounds} rounds of {num_tasks} tasks, "
        f"{torch.get_num_threads()} thread(s)); "
        f"{equal} of {num_tasks} greedy replies are equal",
        flush=True,
    )


if __name__ == "__main__":
    main()
