"""Turns a second of many conversations: what was read kept between turns, against reading it again.

    python benchmarks/turns.py --conversations 64 --turns 10

The embedded model answers made-up observations; both ways give the same replies, which is checked.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from random import Random

from affine_trainer.config import Config
from affine_trainer.policies.hf import HFPolicy, load_policy
from affine_trainer.records import Conversation, Message, Sampling

WORDS = [
    "a",
    "the",
    "cabinet",
    "drawer",
    "shelf",
    "apple",
    "mug",
    "knife",
    "and",
    "then",
    "you",
    "see",
    "open",
    "closed",
    "on",
    "in",
    "1",
    "2",
    "3",
]


def observation(rng: Random, words: int) -> str:
    """So many words at random."""
    return " ".join(rng.choice(WORDS) for _ in range(words))


def play(policy: HFPolicy, args: argparse.Namespace, *, keep: bool) -> tuple[float, list[Conversation]]:
    """Turns a second, and the conversations as played."""
    rng = Random(args.seed)
    talks = [
        Conversation([Message("user", observation(rng, args.words))], goes_on=keep)
        for _ in range(args.conversations)
    ]
    began = time.perf_counter()
    for turn in range(args.turns):
        policy.reply(talks, Sampling(0.7, 1.0, args.reply_tokens, seed=turn))
        for talk in talks:
            talk.messages.append(Message("user", observation(rng, args.words)))
    return args.turns * args.conversations / (time.perf_counter() - began), talks


def same_replies(first: Sequence[Conversation], second: Sequence[Conversation]) -> float:
    """The share of conversations with the same tokens; rounding may turn a rare draw."""
    pairs = zip(first, second, strict=True)
    return statistics.fmean(a.token_ids == b.token_ids for a, b in pairs)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--conversations", type=int, default=64)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--words", type=int, default=30, help="of an observation")
    parser.add_argument("--reply-tokens", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5, help="each way in turn")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    policy = load_policy("nano", Config(), "nano")
    policy.max_episode_tokens = 10**9
    ratios = []
    for number in range(args.rounds):
        kept, first = play(policy, args, keep=True)
        read_again, second = play(policy, args, keep=False)
        ratios.append(kept / read_again)
        print(
            f"{number + 1}: kept {kept:.0f} turns/s, read again {read_again:.0f}; "
            f"{same_replies(first, second):.0%} of the conversations alike",
            flush=True,
        )
    tokens = statistics.fmean(len(talk.token_ids) for talk in first)
    print(
        f"{args.conversations} conversations of {args.turns} turns, {tokens:.0f} tokens at the end: "
        f"{statistics.median(ratios):.2f} times as fast (median of {len(ratios)}, "
        f"{min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
