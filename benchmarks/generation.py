"""Tokens a second of our decoding against transformers' `generate`, on a random Qwen3 of 2.2 M parameters.

    python benchmarks/generation.py --batches 4

Several batches: one after the other by `generate` and by our `decode`, and by `decode` with new replies in
the places of those that have ended ("refilled").
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from affine_trainer.policies.decoding import decode
from affine_trainer.policies.open_rows import Prompt
from affine_trainer.records import Sampling

VOCABULARY = 2048
PAD = 0
MEAN_LENGTH = 30  # with nearly uniform logits one token in so many ends a reply: a long thin tail of lengths
STOP_IDS = frozenset(range(1, VOCABULARY, MEAN_LENGTH))


def random_model(device: str = "cpu") -> Any:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=48,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        pad_token_id=PAD,
    )
    return torch.nn.Module.to(Qwen3ForCausalLM(config).eval(), device)


def random_prompts(batch: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(60, 140, (batch,), generator=generator).tolist()
    return [torch.randint(1, VOCABULARY, (length,), generator=generator).tolist() for length in lengths]


def batches_of(prompts: list[list[int]], size: int) -> Iterator[list[list[int]]]:
    return (prompts[start : start + size] for start in range(0, len(prompts), size))


def with_decode(size: int, model: Any, prompts: list[list[int]], sampling: Sampling) -> int:
    """Batch after batch of `size` prompts; the tokens sampled."""
    return sum(refilled(size, model, batch, sampling) for batch in batches_of(prompts, size))


def refilled(size: int, model: Any, prompts: list[list[int]], sampling: Sampling) -> int:
    """At most `size` replies side by side, others in the places of those that have ended."""
    found = decode(model, list(map(Prompt, prompts)), sampling, stop_ids=STOP_IDS, pad_id=PAD, max_rows=size)
    return sum(len(result.token_ids) for result in found)


def with_generate(size: int, model: Any, prompts: list[list[int]], sampling: Sampling) -> int:
    return sum(generated(model, batch, sampling) for batch in batches_of(prompts, size))


def generated(model: Any, prompts: list[list[int]], sampling: Sampling) -> int:
    width = max(map(len, prompts))
    ids = torch.tensor([[PAD] * (width - len(p)) + p for p in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=model.device)
    torch.manual_seed(sampling.seed)
    output = model.generate(
        ids,
        attention_mask=mask,
        do_sample=sampling.temperature > 0,
        temperature=sampling.temperature or None,
        top_k=0,
        max_new_tokens=sampling.max_new_tokens,
        eos_token_id=sorted(STOP_IDS),
        pad_token_id=PAD,
    )
    return sum(1 for row in output[:, width:].tolist() for token in row if token != PAD)


def tokens_per_second(method: Callable[..., int], *arguments: Any) -> float:
    start = time.perf_counter()
    return method(*arguments) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--batches", type=int, default=1)
    parser.add_argument("--max-new-tokens", type=int, default=160)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    model, prompts = random_model(arguments.device), random_prompts(arguments.batch * arguments.batches)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    print(
        f"{millions:.2f} M parameters, {arguments.batches} batches of {arguments.batch}, replies of "
        f"{MEAN_LENGTH} tokens in the mean, at most {arguments.max_new_tokens}; "
        f"{torch.get_num_threads()} thread(s)"
    )
    methods = {
        "generate": partial(with_generate, arguments.batch),
        "decode": partial(with_decode, arguments.batch),
    }
    if arguments.batches > 1:
        methods["refilled"] = partial(refilled, arguments.batch)
    rates: dict[str, list[float]] = {name: [] for name in methods}
    for seed in range(arguments.repeats + 1):
        sampling = Sampling(1.0, 1.0, arguments.max_new_tokens, seed)
        for name, method in methods.items():  # in turns, so that other load on the machine meets both
            rates[name].append(tokens_per_second(method, model, prompts, sampling))
    for name, found in rates.items():
        print(f"{name:10} {statistics.median(found[1:]):8.0f} tokens/s")  # the first round warms up
    for ours, theirs in (("decode", "generate"), ("refilled", "decode"), ("refilled", "generate")):
        if ours not in methods:
            continue
        ratios = [mine / other for mine, other in zip(rates[ours], rates[theirs], strict=True)][1:]
        print(
            f"{ours} is {statistics.median(ratios):.2f} x as fast as {theirs} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
