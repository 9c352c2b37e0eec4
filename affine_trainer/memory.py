"""How much memory a stage needs for a decoder-only model: arithmetic on its config.json, no torch."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affine_trainer.config import Config
from affine_trainer.config.cores import usable_cores
from affine_trainer.errors import DataError
from affine_trainer.records import MAX_OPEN_CHUNKS

# hidden and intermediate size, layers, heads, key-value heads, tied embeddings
QWEN3 = {
    "0.6B": (1024, 3072, 28, 16, 8, True),
    "1.7B": (2048, 6144, 28, 16, 8, True),
    "4B": (2560, 9728, 36, 32, 8, True),
    "8B": (4096, 12288, 36, 32, 8, False),
    "14B": (5120, 17408, 40, 40, 8, False),
    "32B": (5120, 25600, 64, 64, 8, False),
}
QWEN3_HEAD_DIM = 128
QWEN3_VOCABULARY = 151_936

# Bytes a token and layer that autograd keeps for the backward pass of a Qwen3 layer, as factors of (hidden
# size, intermediate size, width of the queries, width of the keys). Measured with saved-tensor hooks
# on CPU; tests/test_memory.py measures them again. Keys: LoRA, bfloat16, dropout.
KEPT_FOR_BACKWARD = {
    (True, True, False): (20.0, 8.5, 10.5, 8.5),
    (True, True, True): (40.0, 12.5, 14.5, 8.5),
    (True, False, False): (17.0, 16.0, 12.5, 12.5),
    (True, False, True): (49.0, 20.0, 20.5, 12.5),
    (False, True, False): (58.0, 14.0, 14.5, 14.5),
    (False, False, False): (26.0, 16.0, 16.5, 16.5),
}
LOGIT_TILE_TOKENS = 4096  # TRL's fused head never holds the logits of more tokens than this
LOGIT_TILE_VOCABULARY = 16384
# Of a CPU: Python, torch and its libraries (0.51 GiB measured) and what is played; of a GPU: CUDA's own.
RUNTIME_BYTES = {False: 819 << 20, True: 1 << 30}
SANDBOX_WORKER_BYTES = 32 << 20
SLACK = 1.1  # fragmentation and temporaries


@dataclass(frozen=True, slots=True)
class Architecture:
    """The sizes of a Llama-like decoder with grouped queries and a gated MLP; numbers of elements."""

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    tied_embeddings: bool

    @property
    def query_width(self) -> int:
        return self.num_heads * self.head_dim

    @property
    def kv_width(self) -> int:
        return self.num_kv_heads * self.head_dim

    @property
    def projections(self) -> dict[str, tuple[int, int]]:
        """Input and output width of the linear layers that LoRA may be put on."""
        hidden, inner = self.hidden_size, self.intermediate_size
        return {
            "q_proj": (hidden, self.query_width),
            "k_proj": (hidden, self.kv_width),
            "v_proj": (hidden, self.kv_width),
            "o_proj": (self.query_width, hidden),
            "gate_proj": (hidden, inner),
            "up_proj": (hidden, inner),
            "down_proj": (inner, hidden),
        }

    @property
    def num_parameters(self) -> int:
        layer = sum(a * b for a, b in self.projections.values()) + 2 * self.hidden_size + 2 * self.head_dim
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tied_embeddings else 2)
        return self.num_layers * layer + embeddings + self.hidden_size

    def num_lora_parameters(self, rank: int, targets: tuple[str, ...]) -> int:
        """A and B of every target: rank x (input + output) a layer."""
        widths = [sum(self.projections[name]) for name in targets if name in self.projections]
        return self.num_layers * rank * sum(widths)

    def kv_cache_bytes(self, tokens: int, bytes_each: int) -> int:
        return 2 * self.num_layers * self.kv_width * bytes_each * tokens


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one stage needs at its peak, in bytes by part; `on_gpu` says whose memory that is."""

    stage: str
    parts: dict[str, int]
    on_gpu: bool

    @property
    def total(self) -> int:
        return round(SLACK * sum(self.parts.values()))


def architecture_of(name: str) -> Architecture | None:
    """The sizes of a model folder or of a hub id of the Qwen3 family; None where they cannot be known."""
    if (Path(name) / "config.json").is_file():
        return read_architecture(Path(name) / "config.json")
    found = re.search(r"Qwen3-(\d+(?:\.\d+)?B)(?!-A\d)", name)
    if found is None or found[1] not in QWEN3:
        return None
    hidden, inner, layers, heads, kv_heads, tied = QWEN3[found[1]]
    return Architecture(hidden, inner, layers, heads, kv_heads, QWEN3_HEAD_DIM, QWEN3_VOCABULARY, tied)


def read_architecture(path: Path) -> Architecture:
    """From a transformers config.json; DataError naming what it lacks."""
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        heads = values["num_attention_heads"]
        return Architecture(
            hidden_size=values["hidden_size"],
            intermediate_size=values["intermediate_size"],
            num_layers=values["num_hidden_layers"],
            num_heads=heads,
            num_kv_heads=values.get("num_key_value_heads") or heads,
            head_dim=values.get("head_dim") or values["hidden_size"] // heads,
            vocab_size=values["vocab_size"],
            tied_embeddings=bool(values.get("tie_word_embeddings", False)),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} does not describe a decoder-only model: {error!r}") from error


@dataclass(frozen=True, slots=True)
class PlayedRows:
    """What RL plays at most in an iteration: episodes of several turns, and of one single-turn environment.

    `prompt_tokens` is the longest single-turn prompt.
    """

    long_rows: int
    short_rows: int
    prompt_tokens: int


def estimates(
    config: Config, model: Architecture, *, on_gpu: bool, played: PlayedRows | None = None
) -> list[Estimate]:
    """The peak of collect, sft, rl and eval with this config; collect needs RAM alone.

    `played` is what RL plays by the config's shares; without it every row may be as long as the limits.
    """
    weight_bytes = 2 if _weights_in_bf16(config, on_gpu) else 4
    needs = {
        "sft": _sft(config, model, weight_bytes),
        "rl": _rl(config, model, weight_bytes, played or _any_rows(config)),
        "eval": _eval(config, model, weight_bytes),
    }
    runtime = {"runtime": RUNTIME_BYTES[on_gpu]}
    collect = {"runtime": RUNTIME_BYTES[False], "sandbox": _sandbox(config)}
    return [
        Estimate("collect", collect, on_gpu=False),
        *(Estimate(stage, runtime | parts, on_gpu) for stage, parts in needs.items()),
    ]


def _any_rows(config: Config) -> PlayedRows:
    rows = config.rl_training.rollout_batch_size
    return PlayedRows(rows if _may_take_turns(config) else 0, rows, config.model.max_prompt_tokens)


def num_trainable(config: Config, model: Architecture) -> int:
    training = config.training
    if not training.use_lora:
        return model.num_parameters
    return model.num_lora_parameters(training.lora_r, training.lora_target_modules)


def _sft(config: Config, model: Architecture, weight_bytes: int) -> dict[str, int]:
    tokens = config.training.batch_size * longest_row(config)
    return {**_states(config, model, weight_bytes), **_backward(config, model, tokens)}


def _rl(config: Config, model: Architecture, weight_bytes: int, played: PlayedRows) -> dict[str, int]:
    """Rollouts and updates take turns: the larger of the two is held beside weights and optimiser."""
    rl = config.rl_training
    critic = 16 * (model.hidden_size + 2) * rl.critic_hidden_size
    rollout = _rollout(config, model, weight_bytes, played)
    update = _backward(config, model, _update_tokens(config, played))
    phase = max(rollout, update, key=lambda parts: sum(parts.values()))
    states = _states(config, model, weight_bytes)
    if (
        rl.kl_coef and not config.training.use_lora
    ):  # with LoRA the reference is the model without its adapter
        states["reference"] = states["weights"]
    return {**states, "critic": critic, **phase}


def _rollout(config: Config, model: Architecture, weight_bytes: int, played: PlayedRows) -> dict[str, int]:
    """A chunk of single turns that is being answered, beside the interactive chunks that are open."""
    rl, short, long = config.rl_training, played.short_rows, played.long_rows
    if rl.advantage == "vine":  # continuations of any state, in batches of their own
        rows = max(rl.rollout_batch_size, rl.vine_batch_size)
        return _generation(config, model, rows, weight_bytes)
    chunks = [_cached_tokens(config, min(long, rl.rollout_batch_size), turns=True)] if long else []
    chunks.append(min(short, rl.rollout_batch_size) * (played.prompt_tokens + config.model.max_new_tokens))
    logits = 2 * 4 * min(max(short, long), rl.rollout_batch_size) * model.vocab_size
    return {"kv_cache": model.kv_cache_bytes(sum(chunks), weight_bytes), "logits": logits}


def _update_tokens(config: Config, played: PlayedRows) -> int:
    """What a forward pass of the update reads at most: interactive episodes whole, as rows are grouped by
    length, and of single turns a task's prompt once for all its replies."""
    rl = config.rl_training
    long = min(rl.micro_batch_size, played.long_rows)
    short = rl.micro_batch_size - long
    prompts = -(-short // rl.samples_per_task) * played.prompt_tokens
    return long * longest_row(config) + prompts + short * config.model.max_new_tokens


def _eval(config: Config, model: Architecture, weight_bytes: int) -> dict[str, int]:
    cache = _generation(config, model, config.evaluation.batch_size, weight_bytes)
    return {"weights": model.num_parameters * weight_bytes, **cache}


def _states(config: Config, model: Architecture, weight_bytes: int) -> dict[str, int]:
    """Weights, and gradients and the two moments of AdamW in float32 for what is trained."""
    trainable = num_trainable(config, model)
    if not config.training.use_lora:
        return {"weights": 4 * trainable, "gradients": 4 * trainable, "optimiser": 8 * trainable}
    return {
        "weights": model.num_parameters * weight_bytes,
        "adapter": 4 * trainable,
        "gradients": 4 * trainable,
        "optimiser": 8 * trainable,
    }


def longest_row(config: Config) -> int:
    """Tokens of the longest prompt with its reply, or of the longest interactive episode."""
    limits = config.model
    single = limits.max_prompt_tokens + limits.max_new_tokens
    return max(single, limits.max_episode_tokens) if _may_take_turns(config) else single


def _may_take_turns(config: Config) -> bool:
    """Whether an environment may have several turns: the user's own are not opened to find out."""
    return bool(config.data.agentgym.environments or config.data.custom.environments)


def _backward(config: Config, model: Architecture, tokens: int) -> dict[str, int]:
    """Activations of a forward pass on `tokens`, and the tile of logits that TRL's fused head works on."""
    training = config.training
    layer = tokens * round(bytes_kept_a_layer(config, model))
    activations = layer * model.num_layers
    if training.gradient_checkpointing:
        activations = layer + tokens * model.num_layers * model.hidden_size * (2 if training.bf16 else 4)
    tile = min(tokens, LOGIT_TILE_TOKENS) * min(model.vocab_size, LOGIT_TILE_VOCABULARY) * 4
    return {"activations": activations, "logits": 2 * tile}


def bytes_kept_a_layer(config: Config, model: Architecture) -> float:
    training = config.training
    key = (training.use_lora, training.bf16, training.use_lora and training.lora_dropout > 0.0)
    hidden, inner, query, key_value = KEPT_FOR_BACKWARD[key]
    return (
        hidden * model.hidden_size
        + inner * model.intermediate_size
        + query * model.query_width
        + key_value * model.kv_width
    )


def _generation(config: Config, model: Architecture, rows: int, weight_bytes: int) -> dict[str, int]:
    """The cache of chunks of `rows` conversations at full length, and the logits of one step in float32."""
    cached = _cached_tokens(config, rows, turns=_may_take_turns(config))
    cache = model.kv_cache_bytes(cached, weight_bytes)
    return {"kv_cache": cache, "logits": 2 * 4 * rows * model.vocab_size}


def _cached_tokens(config: Config, rows: int, *, turns: bool) -> int:
    """Over several turns all open chunks keep what was read, and the one that is answered a copy of it."""
    return (MAX_OPEN_CHUNKS + 1 if turns else 1) * rows * longest_row(config)


def _sandbox(config: Config) -> int:
    workers = config.sandbox.workers or usable_cores()
    return workers * SANDBOX_WORKER_BYTES + config.data.affine.buffer_size * 8192


def _weights_in_bf16(config: Config, on_gpu: bool) -> bool:
    """As policies/hf.py reads model.dtype: "auto" is bfloat16 on a GPU and float32 on a CPU."""
    return config.model.dtype == "bfloat16" or (config.model.dtype == "auto" and on_gpu)
