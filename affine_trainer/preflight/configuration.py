"""Checks of what a model is and how it is spoken to: architecture, chat template, tokenizer, one answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affine_trainer.errors import AffineError, DataError
from affine_trainer.preflight.subject import Outcome, Subject, failed, passed, read_object, unchecked
from affine_trainer.preflight.weights import Tensors, shards_of, tensors_of

MAX_TEMPLATE_CHARS = 100_000
# Of a config.json, what does not belong to the architecture.
BESIDE = {"transformers_version", "_name_or_path", "dtype", "torch_dtype", "use_cache", "bos_token_id"}
BESIDE |= {"eos_token_id", "pad_token_id", "_attn_implementation", "tie_encoder_decoder"}
# The allow-list of 2026 is these two; the sizes are those of the first one's config.json.
QWEN3_32B = {
    "model_type": "qwen3",
    "architectures": ["Qwen3ForCausalLM"],
    "hidden_size": 5120,
    "intermediate_size": 25600,
    "num_hidden_layers": 64,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "tie_word_embeddings": False,
}
SECOND_TYPE, SECOND_NAME = "qwen3_5_moe", "Qwen3.6-35B-A3B"
SPECIAL_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token", "add_bos_token", "add_eos_token")


def allowed_architecture(subject: Subject) -> Outcome:
    """Exactly an architecture of the allow-list: by the champion's folder, or without one by sizes."""
    if subject.champion is not None:
        return _same_architecture(subject, subject.champion)
    kind = subject.config.get("model_type")
    if kind == SECOND_TYPE:
        return unchecked(f"name a downloaded {SECOND_NAME} with --champion DIR to compare its sizes")
    if wrong := _unequal(subject.config, QWEN3_32B):
        names = f"Qwen3-32B (its {wrong} differs) nor {SECOND_NAME}"
        return failed(f"{kind or 'a model without config.json'} is neither {names}")
    return passed("the sizes of Qwen3-32B")


def _same_architecture(subject: Subject, champion: Path) -> Outcome:
    theirs = _architecture(read_object(champion / "config.json"))
    if not theirs:
        raise DataError(f"{champion} holds no config.json to compare with")
    if wrong := _unequal(_architecture(subject.config), theirs, both_ways=True):
        return failed(f"config.json differs from {champion} in {wrong}")
    mine, wanted = _tensors(subject.folder), _tensors(champion)
    different = sorted(
        name for name in mine.keys() | wanted.keys() if _shape(mine, name) != _shape(wanted, name)
    )
    if wanted and different:
        return failed(f"{len(different)} tensors are not as in {champion}, {different[0]} among them")
    return passed(f"config.json{' and all shapes' if wanted else ''} as in {champion}")


def _architecture(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in BESIDE}


def _unequal(mine: Mapping[str, Any], wanted: Mapping[str, Any], *, both_ways: bool = False) -> str | None:
    """The first key on which two configs differ."""
    names = mine.keys() | wanted.keys() if both_ways else wanted.keys()
    return next((name for name in sorted(names) if mine.get(name) != wanted.get(name)), None)


def _tensors(folder: Path) -> Tensors:
    found: Tensors = {}
    for path in shards_of(folder):
        found |= tensors_of(path)
    return found


def _shape(tensors: Tensors, name: str) -> tuple[int, ...] | None:
    return tensors[name][1] if name in tensors else None


def not_quantized(subject: Subject) -> Outcome:
    """config.json has no quantization_config."""
    if not subject.config:
        return failed("there is no config.json")
    if "quantization_config" in subject.config:
        return failed("config.json has a quantization_config: export unquantized weights")
    return passed("no quantization_config")


def chat_template(folder: Path) -> str | None:
    """The default chat template: a file of its own, or an entry of tokenizer_config.json."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    found = read_object(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(found, list):  # several by name
        found = next((entry.get("template") for entry in found if entry.get("name") == "default"), None)
    return found if isinstance(found, str) else None


def has_template(subject: Subject) -> Outcome:
    """There is a chat template, of at most 100,000 characters."""
    template = chat_template(subject.folder)
    if not template:
        return failed("there is no chat template: add chat_template.jinja")
    if len(template) > MAX_TEMPLATE_CHARS:
        return failed(f"the chat template has {len(template):,} characters, more than {MAX_TEMPLATE_CHARS:,}")
    return passed(f"{len(template):,} characters")


def no_remote_code(subject: Subject) -> Outcome:
    """Nothing asks for code from the repository, and the chat template renders with what is here."""
    for name in ("config.json", "tokenizer_config.json"):
        if "auto_map" in read_object(subject.folder / name):
            return failed(f"{name} has an auto_map, which asks for remote code: remove it")
    if code := sorted(path.name for path in subject.folder.glob("*.py")):
        return failed(f"{', '.join(code)}: code in the repository, delete it")
    from affine_trainer.policies.whole_models import rendered

    try:
        text = rendered(subject.folder, "Hello")
    except AffineError as error:
        return failed(str(error))
    return passed("loads and renders a message") if "Hello" in text else failed("it drops the message")


def same_tokenizer(subject: Subject) -> Outcome:
    """The champion's tokenizer: the same tokenizer.json by content, and the same special tokens."""
    if subject.champion is None:
        return unchecked("name the champion's model, downloaded, with --champion DIR")
    mine, theirs = (read_object(folder / "tokenizer.json") for folder in (subject.folder, subject.champion))
    if not theirs or not mine:
        lacking = subject.folder if theirs else subject.champion
        return unchecked(f"{lacking} has no tokenizer.json: compare the files by hand")
    for name in sorted(mine.keys() | theirs.keys()):
        if _plain(mine.get(name)) != _plain(theirs.get(name)):
            return failed(f"tokenizer.json differs from the champion's in {name}: copy the champion's files")
    configs = [read_object(folder / "tokenizer_config.json") for folder in (subject.folder, subject.champion)]
    for name in SPECIAL_TOKENS:
        if _token(configs[0].get(name)) != _token(configs[1].get(name)):
            return failed(f"tokenizer_config.json differs from the champion's in {name}")
    return passed(f"as in {subject.champion}")


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _token(value: Any) -> Any:
    """A special token's text; older files write it with its options around it."""
    return value.get("content") if isinstance(value, dict) else value


def answers(subject: Subject) -> Outcome:
    """It loads with every weight in place, and answers a prompt. Our own check."""
    if subject.answer is None:
        return unchecked("this machine's memory does not hold the model: run it where it does")
    try:
        reply = subject.answer(subject.folder)
    except AffineError as error:
        return failed(str(error))
    return passed(f"it answered {reply[:40]!r}")
