"""The pretraining loop of the embedded model: plain torch, AdamW, warm-up and cosine decay."""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

# Prompts are mostly random formulas and numbers; their tokens count little, the replies count in full.
PROMPT_WEIGHT = 0.1


@dataclass(frozen=True)
class Shape:
    """Size of the model."""

    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int


@dataclass(frozen=True)
class Encoded:
    """One document: token ids, and per token the weight of predicting it."""

    ids: np.ndarray
    weights: np.ndarray


def encode(messages: list, tokenizer: PreTrainedTokenizerFast) -> Encoded:
    """Encode a conversation message by message, exactly as the chat template joins them."""
    ids: list[int] = []
    weights: list[float] = []
    for message in messages:
        content = tokenizer.encode(message.content, add_special_tokens=False)
        marker = tokenizer.convert_tokens_to_ids(f"<|{message.role}|>")
        reply = message.role == "assistant"
        ids += [marker, *content, tokenizer.eos_token_id]
        weights += [0.0, *[1.0 if reply else PROMPT_WEIGHT] * len(content), 1.0 if reply else 0.0]
    return Encoded(np.array(ids, dtype=np.int16), np.array(weights, dtype=np.float16))


def build_model(shape: Shape, tokenizer: PreTrainedTokenizerFast) -> Any:
    """A Qwen3 with random weights and tied embeddings."""
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_key_value_heads=shape.num_heads,
        head_dim=shape.hidden_size // shape.num_heads,
        intermediate_size=shape.intermediate_size,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        bos_token_id=None,
        eos_token_id=cast(int, tokenizer.eos_token_id),
        pad_token_id=cast(int, tokenizer.pad_token_id),
    )
    return Qwen3ForCausalLM(config)


def batches(documents: list[Encoded], tokens_per_batch: int, rng: random.Random) -> Iterator[list[Encoded]]:
    """One epoch: documents of like length together, batches in random order."""
    order = sorted(range(len(documents)), key=lambda i: (len(documents[i].ids) // 8, rng.random()))
    groups: list[list[Encoded]] = [[]]
    for i in order:
        if (len(groups[-1]) + 1) * len(documents[i].ids) > tokens_per_batch:
            groups.append([])
        groups[-1].append(documents[i])
    rng.shuffle(groups)
    yield from groups


def to_tensors(batch: list[Encoded], pad_id: int, device: str) -> tuple[Tensor, Tensor]:
    """(B, T) token ids and weights, padded on the right with weight 0."""
    length = max(len(document.ids) for document in batch)
    ids = np.full((len(batch), length), pad_id, dtype=np.int64)
    weights = np.zeros((len(batch), length), dtype=np.float32)
    for row, document in enumerate(batch):
        ids[row, : len(document.ids)] = document.ids
        weights[row, : len(document.ids)] = document.weights
    return torch.from_numpy(ids).to(device), torch.from_numpy(weights).to(device)


def fast_bf16(device: str) -> bool:
    """Whether bfloat16 matrix products are quicker than float32 ones here: on any GPU, on few CPUs."""
    return device == "cuda" or "avx512_bf16" in Path("/proc/cpuinfo").read_text()


def float32_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, scaling: float | None = None, **_: Any
) -> tuple[Tensor, None]:
    """Causal attention computed in float32: on a CPU its bfloat16 backward pass is several times slower."""
    heads = functional.scaled_dot_product_attention(
        query.float(), key.float(), value.float(), is_causal=True, scale=scaling
    )
    return heads.to(query.dtype).transpose(1, 2).contiguous(), None


def weighted_loss(model: Any, ids: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of the next-token cross-entropy."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    logits = functional.linear(hidden, model.lm_head.weight).float()
    losses = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    scale = weights[:, 1:].flatten()
    return (losses * scale).sum() / scale.sum()


class HalfCopy:
    """A bfloat16 copy of a float32 model: it computes losses and gradients, the model takes the steps."""

    def __init__(self, model: Any) -> None:
        self.model = copy.deepcopy(model).bfloat16()
        self.pairs = list(zip(self.model.parameters(), model.parameters(), strict=True))

    @torch.no_grad()
    def hand_over_gradients(self) -> None:
        for half, full in self.pairs:
            full.grad = half.grad.float() if half.grad is not None else None
            half.grad = None

    @torch.no_grad()
    def follow(self) -> None:
        for half, full in self.pairs:
            half.copy_(full)


def train(
    model: Any,
    documents: list[Encoded],
    *,
    epochs: int,
    tokens_per_batch: int,
    learning_rate: float,
    seed: int,
    device: str,
) -> Iterator[tuple[int, float, float]]:
    """Train the float32 `model` in place; yields (step, loss, tokens per second) every 50 steps.

    Where bfloat16 is fast, losses and gradients are those of a bfloat16 copy.
    """
    rng = random.Random(seed)
    plan = [group for _ in range(epochs) for group in batches(documents, tokens_per_batch, rng)]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.05, fused=True
    )
    warmup = min(200, len(plan) // 10)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warmup, 0.05 + 0.475 * (1 + math.cos(math.pi * step / len(plan)))),
    )
    model.to(device).train()
    if device == "cpu":
        AttentionInterface.register("float32_attention", float32_attention)
        model.set_attn_implementation("float32_attention")
    half = HalfCopy(model) if fast_bf16(device) else None
    loss_of = torch.compile(weighted_loss, dynamic=True)
    started, tokens, recent = time.perf_counter(), 0, 0.0
    for step, group in enumerate(plan, 1):
        ids, weights = to_tensors(group, int(model.config.pad_token_id or 0), device)
        loss = loss_of(half.model if half else model, ids, weights)
        loss.backward()
        if half:
            half.hand_over_gradients()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        scheduler.step()
        if half:
            half.follow()
        tokens += ids.numel()
        recent = float(loss.detach()) if step == 1 else 0.98 * recent + 0.02 * float(loss.detach())
        if step % 50 == 0 or step == len(plan):
            yield step, recent, tokens / (time.perf_counter() - started)
    model.set_attn_implementation("sdpa")
