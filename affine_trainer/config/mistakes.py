"""What is wrong with a config, in plain words: dotted path, expectation, what was found, did you mean."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from affine_trainer.config.complaints import Complaints
from affine_trainer.config.section import Section
from affine_trainer.config.sections import Config

# Keys of the older pipeline that are gone, with what replaces them; "*" is any section.
REMOVED = {
    "hardware": "is gone: the device is found by itself, bf16 is training.bf16, "
    "and several GPUs are used by starting the stage with torchrun",
    "huggingface": "is gone: log in with `hf auth login` or HF_TOKEN, and upload a model with `hf upload`",
}
RENAMED = {
    "entropy_coefficient": "entropy_coef",
    "entropy_coeff": "entropy_coef",
    "ent_coef": "entropy_coef",
    "value_loss_coefficient": "vf_coef",
    "value_loss_coef": "vf_coef",
    "value_coef": "vf_coef",
    "kl_coefficient": "kl_coef",
    "kl_penalty": "kl_coef",
    "init_kl_coef": "kl_coef",
    "normalize_advantage": "normalize_advantages",
    "whiten_advantages": "normalize_advantages",
    "lambda": "gae_lambda",
    "lam": "gae_lambda",
    "clip_epsilon": "clip_range",
    "clip_ratio": "clip_range",
    "num_ppo_epochs": "ppo_epochs",
    "lora_rank": "lora_r",
    "epochs": "num_epochs",
    "num_train_epochs": "num_epochs",
    "lr": "learning_rate",
    "lr_scheduler": "lr_schedule",
    "lr_scheduler_type": "lr_schedule",
    "scheduler": "lr_schedule",
    "per_device_train_batch_size": "batch_size",
    "target_modules": "lora_target_modules",
    "max_length": "max_prompt_tokens",
    "max_prompt_length": "max_prompt_tokens",
    "max_tokens": "max_new_tokens",
    "max_completion_length": "max_new_tokens",
    "torch_dtype": "dtype",
    "beta_prior": "beta_prior_alpha",
}
# Values that a key no longer takes, with what replaces them.
REPLACED_VALUES = {
    ("rl_training.normalize_advantages", True): "true is now `scale` (deviation 1, the zero left where it "
    "is; what it was with advantage: group) or `batch` (mean 0 too; what it was with advantage: gae)",
    ("rl_training.normalize_advantages", False): "false is now `none`",
}
EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "model_type": "a section of keys and values",
    "model_attributes_type": "a section of keys and values",
}
BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}

Keys = tuple[str | int, ...]


class Mistake(NamedTuple):
    """One wrong thing; `keys` is empty where it has no place of its own.

    `together` are the keys that do not fit together, where each is right by itself; `unknown`: there is no
    such key.
    """

    keys: Keys
    message: str
    together: tuple[Keys, ...] = ()
    unknown: bool = False

    def __str__(self) -> str:
        return f"{dotted(self.keys)}: {self.message}" if self.keys else self.message


def dotted(keys: Keys) -> str:
    """("data", "affine", "environments", 0) -> "data.affine.environments[0]"."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".")


def explain(error: ValidationError, root: type[Section] = Config) -> list[Mistake]:
    """Each complaint of the validation of a `root` as a Mistake, in the order of its keys."""
    found = []
    for details in error.errors(include_url=False):
        cause = details.get("ctx", {}).get("error")
        if isinstance(cause, Complaints):
            found += [Mistake(section, why.message, why.keys) for section, why in cause.found]
        else:
            found.append(_mistake(details, root))
    return found


def _mistake(details: ErrorDetails, root: type[Section]) -> Mistake:
    keys = details["loc"]
    if keys and keys[-1] == "[key]" and details["type"] == "literal_error":
        allowed = details.get("ctx", {}).get("expected", "")
        return Mistake(keys[:-1], f"unknown key; there are {_plain(allowed)}")
    if details["type"] == "extra_forbidden":
        return Mistake(keys, _unknown(keys, root), unknown=True)
    found = details["input"]
    if isinstance(found, bool) and (dotted(keys), found) in REPLACED_VALUES:
        return Mistake(keys, REPLACED_VALUES[dotted(keys), found])
    return Mistake(keys, _words(details))


def _words(details: ErrorDetails) -> str:
    kind, found, context = details["type"], details["input"], details.get("ctx", {})
    if kind in EXPECTED:
        return f"expected {EXPECTED[kind]}, got {_shown(found)}{_quote_hint(kind, found)}"
    if kind in BOUNDS:
        name, words = BOUNDS[kind]
        return f"must be {words} {context[name]:g}, got {_shown(found)}"
    if kind == "literal_error":
        choices = _plain(context["expected"])
        return f"expected {choices}, got {_shown(found)}{_near(str(found), choices)}"
    if kind == "value_error":
        return str(context["error"])
    if kind in ("string_too_short", "too_short"):
        return "must not be empty"
    if kind == "string_too_long":
        return f"must be at most {context['max_length']} characters long"
    if kind == "string_pattern_mismatch":
        return f"must start with a letter or digit and hold only those and . _ -, got {_shown(found)}"
    return details["msg"]


def _shown(value: Any) -> str:
    """A value as YAML has it, cut when long."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return _cut(repr(value))
    return _cut(json.dumps(value, ensure_ascii=False, default=str))


def _cut(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _quote_hint(kind: str, found: Any) -> str:
    if kind == "string_type" and isinstance(found, (bool, int, float)):
        return " (put it in quotes)"
    if kind in ("int_type", "float_type") and isinstance(found, str) and _reads_as_number(found):
        return " (leave out the quotes)"
    return ""


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _plain(expected: str) -> str:
    """pydantic's "'sat', 'abd' or 'ded'" without the quotes."""
    return expected.replace("'", "")


def _near(found: str, choices: str) -> str:
    near = difflib.get_close_matches(found.lower(), choices.replace(" or ", ", ").split(", "), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _unknown(keys: Keys, root: type[Section]) -> str:
    path = dotted(keys)
    if path in REMOVED:
        return REMOVED[path]
    section, name = keys[:-1], str(keys[-1])
    siblings = _names(section, root)
    renamed = RENAMED.get(name)
    if renamed in siblings:
        return f"is now {dotted((*section, renamed))}"
    elsewhere = [key for key in _all_keys(root) if key.split(".")[-1] in (name, renamed)]
    if elsewhere:
        return f"unknown key; did you mean {' or '.join(elsewhere)}?"
    near = difflib.get_close_matches(name, siblings, n=1)
    if near:
        return f"unknown key; did you mean {dotted((*section, near[0]))}?"
    return f"unknown key; {dotted(section) or 'the file'} has {', '.join(siblings)}"


def _names(section: Keys, model: type[Section]) -> list[str]:
    for key in section:
        annotation = model.model_fields[str(key)].annotation
        assert isinstance(annotation, type) and issubclass(annotation, Section)
        model = annotation
    return list(model.model_fields)


def _all_keys(model: type[Section], prefix: str = "") -> Iterator[str]:
    """Every dotted key of the config, sections included."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _all_keys(field.annotation, f"{prefix}{name}.")
