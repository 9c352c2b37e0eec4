"""Continuations of states with their prefix read once, against as many readings, in processor time."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from affine_trainer.config import Config
from affine_trainer.policies.decoding import decode
from affine_trainer.policies.hf import load_model
from affine_trainer.policies.open_rows import OpenRows, Prompt
from affine_trainer.records import Sampling
from affine_trainer.stats import bootstrap_interval

PAD = 0


def random_qwen3() -> Any:
    """A random Qwen3 of about 3 M parameters."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "vocab_size": 2048,
        "hidden_size": 224,
        "intermediate_size": 608,
        "num_hidden_layers": 4,
    }
    heads: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 56}
    config = Qwen3Config(**sizes, **heads, max_position_embeddings=4096, tie_word_embeddings=True)
    return Qwen3ForCausalLM(config).eval()


def states_of(vocabulary: int, prefix: int, num_states: int, seed: int) -> list[list[int]]:
    """The states of one episode: the first has `prefix` tokens, each further one 16 more."""
    generator = torch.Generator().manual_seed(seed)
    longest = torch.randint(5, vocabulary, (prefix + 16 * (num_states - 1),), generator=generator).tolist()
    return [longest[: prefix + 16 * number] for number in range(num_states)]


def shared(states: Sequence[list[int]], k: int) -> list[Prompt]:
    return [Prompt(state) for state in states for _ in range(k)]


def apart(states: Sequence[list[int]], k: int) -> list[Prompt]:
    """As many prompts of the same lengths, no two of which begin alike: each has to be read."""
    prompts = shared(states, k)
    return [Prompt([5 + place, *prompt.token_ids[1:]]) for place, prompt in enumerate(prompts)]


def read(model: Any, prompts: Sequence[Prompt]) -> None:
    with torch.inference_mode():
        OpenRows(model, prompts, PAD)


def generate(new_tokens: int) -> Callable[[Any, Sequence[Prompt]], None]:
    sampling = Sampling(1.0, 1.0, new_tokens, seed=0)

    def run(model: Any, prompts: Sequence[Prompt]) -> None:
        decode(model, prompts, sampling, stop_ids=frozenset(), pad_id=PAD)

    return run


def seconds(work: Callable[[Any, Sequence[Prompt]], None], model: Any, prompts: Sequence[Prompt]) -> float:
    """Of this process alone: what else the machine does counts for nothing."""
    began = time.process_time()
    work(model, prompts)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prefix", type=int, default=256, help="tokens of the first state")
    parser.add_argument("-k", type=int, default=9, help="continuations of a state")
    parser.add_argument("--states", type=int, nargs="+", default=[1, 8], help="states of one episode")
    parser.add_argument("--new-tokens", type=int, nargs="+", default=[0, 16, 48])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    models = {"nano": load_model("nano", Config()), "random Qwen3": random_qwen3()}
    print(f"prefix {arguments.prefix}, K {arguments.k}, {torch.get_num_threads()} thread(s), 95 % intervals")
    for name, model in models.items():
        millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        for num_states in arguments.states:
            for new_tokens in arguments.new_tokens:
                found = compare(model, num_states, new_tokens, arguments)
                what = f"and {new_tokens} new tokens" if new_tokens else "alone"
                print(
                    f"{name} ({millions:.1f} M), {num_states} state(s), reading {what}: {found}", flush=True
                )


def compare(model: Any, num_states: int, new_tokens: int, arguments: argparse.Namespace) -> str:
    """Both ways in turns, so that other load on the machine meets both; the first round warms up."""
    work, ratios, times = generate(new_tokens) if new_tokens else read, [], []
    for number in range(arguments.rounds + 1):
        states = states_of(model.config.vocab_size, arguments.prefix, num_states, number)
        once = seconds(work, model, shared(states, arguments.k))
        each = seconds(work, model, apart(states, arguments.k))
        if number:
            ratios.append(each / once)
            times.append((once, each))
    interval = bootstrap_interval(np.log(ratios), 0.95)
    lower, upper = np.exp(interval)
    once, each = (median(column) for column in zip(*times, strict=True))
    return (
        f"{np.exp(np.mean(np.log(ratios))):.2f} x as fast ({lower:.2f} to {upper:.2f}, n={len(ratios)}; "
        f"{1e3 * once:.0f} ms against {1e3 * each:.0f})"
    )


if __name__ == "__main__":
    main()
