"""Whole models on disk: an adapter merged into its base and written, and whether it answers."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from jinja2 import TemplateError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from affine_trainer.config import Config
from affine_trainer.device import training_device
from affine_trainer.errors import AffineError
from affine_trainer.policies.hf import (
    QUIET_BYTES,
    HFPolicy,
    load_model,
    load_tokenizer,
    require_hub_model,
    weight_bytes,
)
from affine_trainer.policies.model_names import is_adapter, model_path
from affine_trainer.records import Conversation, Message, Sampling

MAX_SHARD_SIZE = "5GB"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
)
TRIAL = "Say hello."
TRIAL_TOKENS = 8


@dataclass(frozen=True, slots=True)
class WrittenModel:
    """What was written: `base` is None where the model was whole already."""

    base: str | None
    dtype: str
    num_parameters: int


def write_model(name: str, config: Config, folder: Path, dtype: str | None) -> WrittenModel:
    """Write `name` into `folder`: safetensors shards, config, generation config, tokenizer, chat template.

    An adapter is merged in float32 and rounded once, to `dtype` or else to what its base is stored in.
    AffineError where the adapter was trained on another base than `model.name`.
    """
    path = model_path(name)
    base = base_of_adapter(path, config) if is_adapter(path) else None
    stored = dtype or stored_dtype(base or path)
    model = load_model(name, with_dtype(config, "float32" if base else stored))
    torch.nn.Module.to(model, dtype=getattr(torch, stored))
    model.save_pretrained(str(folder), max_shard_size=MAX_SHARD_SIZE)
    copy_tokenizer(name, config, folder)
    return WrittenModel(base, stored, model.num_parameters())


def base_of_adapter(adapter: str, config: Config) -> str:
    """`model.name`, which an adapter is put on; AffineError where it names another base as its own.

    On the wrong base an adapter would load and be silently wrong.
    """
    try:
        own = json.loads((Path(adapter) / "adapter_config.json").read_bytes()).get("base_model_name_or_path")
    except (ValueError, AttributeError) as error:
        raise AffineError(f"{adapter}/adapter_config.json is broken: put the original back") from error
    wanted = model_path(config.model.name)
    if own and own != config.model.name and _resolved(own) != _resolved(wanted):
        raise AffineError(
            f"the adapter {adapter} was trained on {own}, and model.name is {config.model.name}: "
            f"run with --set model.name={own}, or, if that model lies elsewhere now, correct "
            "base_model_name_or_path in its adapter_config.json"
        )
    return wanted


def _resolved(name: str) -> str:
    try:
        path = model_path(name)
    except AffineError:  # a folder that is gone: no base that we have
        return name
    return str(Path(path).resolve()) if Path(path).is_dir() else path


def stored_dtype(path: str) -> str:
    """What a model's weights are stored in, by its config; float32 where that is silent."""
    if not Path(path).is_dir():
        require_hub_model(path, None)
    try:
        found = AutoConfig.from_pretrained(path, local_files_only=Path(path).is_dir()).dtype
    except (OSError, ValueError, KeyError) as error:
        raise AffineError(f"cannot read the config of {path}: {_first_line(error)}") from error
    return str(found or "float32").removeprefix("torch.")


def with_dtype(config: Config, dtype: str) -> Config:
    """The config with models loaded as `dtype`."""
    return config.model_copy(update={"model": config.model.model_copy(update={"dtype": dtype})})


def copy_tokenizer(name: str, config: Config, folder: Path) -> None:
    """The tokenizer's files, byte for byte where they lie in a folder, so that their hashes stay."""
    path = Path(model_path(name))
    if is_adapter(str(path)) and not (path / "tokenizer_config.json").is_file():
        path = Path(model_path(config.model.name))
    if not (path / "tokenizer_config.json").is_file():
        load_tokenizer(name, config).save_pretrained(folder)
        return
    for file in TOKENIZER_FILES:
        if (path / file).is_file():
            shutil.copyfile(path / file, folder / file)


def rendered(folder: Path, text: str) -> str:
    """A user's message as the chat template in `folder` writes it, without remote code.

    AffineError where the tokenizer or its template does not load.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        chat = [{"role": "user", "content": text}]
        return str(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))
    except (OSError, ValueError, KeyError, TypeError, ImportError, TemplateError) as error:
        raise AffineError(
            f"the tokenizer or its chat template does not load: {_first_line(error)}"
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def answer_of(folder: Path, config: Config) -> str:
    """What the model in `folder` answers to one prompt, loaded without remote code.

    AffineError where it does not load, lacks weights, or computes no finite probabilities.
    """
    rendered(folder, TRIAL)
    trusted = config.model.model_copy(update={"trust_remote_code": False, "dtype": "auto"})
    tokenizer = load_tokenizer(str(folder), config.model_copy(update={"model": trusted}))
    if weight_bytes(str(folder)) < QUIET_BYTES:
        transformers.utils.logging.disable_progress_bar()
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype="auto", output_loading_info=True, **options
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise AffineError(f"it does not load: {_first_line(error)}") from error
    model, loading = loaded
    if missing := sorted(loading["missing_keys"]):
        raise AffineError(f"{len(missing)} weights are missing, {missing[0]} among them")
    policy = HFPolicy(model.eval(), tokenizer, name="trial", max_prompt_tokens=1024, device=training_device())
    conversation = Conversation([Message("user", TRIAL)])
    [completion] = policy.reply([conversation], Sampling(0.0, 1.0, TRIAL_TOKENS, seed=0))
    if not all(torch.isfinite(torch.tensor(completion.logprobs))):
        raise AffineError("its probabilities are not finite numbers")
    return completion.text
