"""Randomly initialised Qwen3 models and a byte tokenizer that needs no download, for the benchmarks."""

from __future__ import annotations

from typing import Any, cast

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

SIZES = {
    "nano": {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4,
             "num_key_value_heads": 4, "head_dim": 48, "vocab_size": 2048},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 512},
    "4b": {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32,
           "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936},
}  # fmt: skip
SPECIAL = ("<|pad|>", "<|user|>", "<|assistant|>")
END = "<|end|>"
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def byte_tokenizer(vocab_size: int) -> PreTrainedTokenizerFast:
    """One token a byte. Its end token lies beyond the model's `vocab_size`: every reply has full length."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *letters])}
    fillers = {f"<|{number}|>": number for number in range(len(vocabulary), vocab_size)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary | fillers | {END: vocab_size}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([*SPECIAL, END])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token="<|pad|>", chat_template=CHAT_TEMPLATE
    )


def random_model(size: str, device: str, dtype: torch.dtype) -> Qwen3ForCausalLM:
    """A Qwen3 of one of SIZES with weights drawn from a fixed seed, made on `device`."""
    sizes: dict[str, Any] = SIZES[size]
    fixed = {"max_position_embeddings": 8192, "tie_word_embeddings": True, "pad_token_id": 0}
    config = Qwen3Config(**cast(Any, sizes | fixed))
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return Qwen3ForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
