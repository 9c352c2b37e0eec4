"""From a file and `--set` overrides to a checked Config, with every mistake reported at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from affine_trainer.config.dialect import Dumper, YamlMistake, parse_yaml
from affine_trainer.config.mistakes import Keys, Mistake, dotted, explain
from affine_trainer.config.sections import Config
from affine_trainer.errors import ConfigError

SECTIONS = tuple(key for key, value in Config().model_dump().items() if isinstance(value, dict))


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> Config:
    """The config of `path` (None: the embedded default) with `KEY=VALUE` overrides applied.

    ConfigError lists all mistakes, one a line, each with its dotted path.
    """
    tree, mistakes = ({}, []) if path is None else _read(path)
    given = []
    for override in overrides:
        if mistake := _apply(tree, override, given):
            mistakes.append(mistake)
    source = str(path) if path else "The built-in config"
    config = None
    try:
        config = Config.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        mistakes += explain(error)
    except (TypeError, ValueError) as error:
        mistakes.append(Mistake((), f"the file holds something that is no plain value ({error})"))
    if config is None or mistakes:
        raise ConfigError(_report(source, mistakes, given))
    return config


def resolved_yaml(config: Config) -> str:
    """The whole config as YAML that `load_config` reads back to an equal one."""
    return yaml.dump(
        config.model_dump(mode="json"), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110
    )


def _read(path: Path) -> tuple[dict[str, Any], list[Mistake]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        near = difflib.get_close_matches(path.name, [other.name for other in path.parent.glob("*.y*ml")], n=1)
        hint = f" (did you mean {path.parent / near[0]}?)" if near else ""
        raise ConfigError(f"The config file {path} does not exist{hint}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start + 1}).") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        tree, repeated = parse_yaml(text)
    except YamlMistake as error:
        raise ConfigError(f"{path}, {error}.") from error
    if tree is None:
        raise ConfigError(f"{path} is empty: write at least one key, or leave out --config.")
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} should hold sections of keys and values, but holds {_kind(tree)}.")
    # A section whose keys are all commented out is null in YAML: it keeps its defaults.
    tree = {key: {} if value is None and key in SECTIONS else value for key, value in tree.items()}
    return tree, [Mistake(keys, f"given more than once ({lines})") for keys, lines in repeated]


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"only {value!r}"


def _apply(tree: dict[str, Any], override: str, given: list[tuple[str, ...]]) -> Mistake | None:
    """Put one `a.b=value` into the tree; the value is YAML, so that lists and numbers can be given."""
    key, equals, text = override.partition("=")
    keys = tuple(key.strip().split("."))
    if not equals or not all(keys):
        return Mistake((), f"--set {override}: expected KEY=VALUE, as in training.num_epochs=1")
    given.append(keys)
    try:
        value, _ = parse_yaml(text)
    except YamlMistake as error:
        return Mistake(keys, f"the value {text!r} is not valid YAML ({error})")
    section: Any = tree
    default: Any = Config().model_dump(mode="json")
    for depth, name in enumerate(keys[:-1], start=1):
        default = default.get(name, {})
        if section.get(name) is None:
            section[name] = default
        section = section[name]
        if not isinstance(section, dict) or not isinstance(default, dict):
            return Mistake(keys, f"{dotted(keys[:depth])} is a value, not a section")
    section[keys[-1]] = value
    return None


def _report(source: str, mistakes: Sequence[Mistake], given: Sequence[tuple[str, ...]]) -> str:
    count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    lines = [f"{source} has {count}:"]
    for mistake in mistakes:
        from_flag = any(_overlap(mistake.keys, keys) for keys in given)
        lines.append(f"  {'--set ' if from_flag else ''}{mistake}")
    return "\n".join(lines)


def _overlap(one: Keys, other: Keys) -> bool:
    """Whether one path lies within the other, as a mistake at `hardware` does for `hardware.device`."""
    shared = min(len(one), len(other))
    return shared > 0 and one[:shared] == other[:shared]
