"""From a file and `--set` overrides to a checked Config, with every mistake reported at once."""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from affine_trainer.config.dialect import Dumper, YamlMistake, parse_yaml
from affine_trainer.config.mistakes import Keys, Mistake, dotted, explain
from affine_trainer.config.sections import Config
from affine_trainer.errors import ConfigError

SECTIONS = tuple(key for key, value in Config().model_dump().items() if isinstance(value, dict))


def load_config(path: Path | None, overrides: Sequence[str] = (), *, start: Config | None = None) -> Config:
    """The config of `path` (None: `start`, or the embedded default) with `KEY=VALUE` overrides applied.

    ConfigError lists all mistakes, one a line, each with its dotted path.
    """
    known = start.model_dump(mode="json") if start else {}
    tree, mistakes = (known, []) if path is None else read_tree(path)
    given = []
    for override in overrides:
        if mistake := apply(tree, override, given):
            mistakes.append(mistake)
    source = str(path) if path else "The recorded config" if start else "The built-in config"
    config, found = validate(tree)
    if config is None or mistakes:
        raise ConfigError(report(source, [*mistakes, *found], given))
    return config


def config_from_record(content: Mapping[str, Any]) -> Config | None:
    """The config that a manifest recorded; None where it is another version's, which this one cannot read."""
    try:
        return Config.model_validate_json(json.dumps(content))
    except ValidationError:
        return None


def validate(tree: dict[str, Any]) -> tuple[Config | None, list[Mistake]]:
    """The config that a tree of keys means, or None and what is wrong with it."""
    config, found = _validate(tree)
    wrong = [mistake for mistake in found if not mistake.together]
    if wrong:  # without them, the rest is looked at for what does not fit together
        touched = [_touched(mistake) for mistake in wrong]
        rest = copy.deepcopy(tree)
        for mistake in wrong:
            _drop(rest, mistake.keys)
        found += [
            mistake
            for mistake in _validate(rest)[1]
            if mistake.together and not any(_overlap(a, b) for a in mistake.together for b in touched)
        ]
    return config, found


def _touched(mistake: Mistake) -> Keys:
    """What is not known because of it: the key, or, where a key is unknown, any of its section."""
    section = mistake.keys[:-1]
    return section if section and mistake.unknown else mistake.keys


def _drop(tree: Any, keys: Keys) -> None:
    """Take out the key, or the innermost one that holds what is wrong in a list."""
    for depth, key in enumerate(keys, start=1):
        inner = tree.get(key)
        if depth == len(keys) or not isinstance(inner, dict):
            tree.pop(key, None)
            return
        tree = inner


def _validate(tree: dict[str, Any]) -> tuple[Config | None, list[Mistake]]:
    # A section whose keys are all commented out is null in YAML: it keeps its defaults.
    tree = {key: {} if value is None and key in SECTIONS else value for key, value in tree.items()}
    try:
        return Config.model_validate_json(json.dumps(tree)), []
    except ValidationError as error:
        return None, explain(error)
    except (TypeError, ValueError) as error:
        return None, [Mistake((), f"the file holds something that is no plain value ({error})")]


def resolved_yaml(config: Config) -> str:
    """The whole config as YAML that `load_config` reads back to an equal one."""
    return yaml.dump(
        config.model_dump(mode="json"), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110
    )


def read_tree(path: Path, kind: str = "config") -> tuple[dict[str, Any], list[Mistake]]:
    """The keys of a YAML file, and those given twice; ConfigError where it holds no keys at all."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        near = difflib.get_close_matches(path.name, [other.name for other in path.parent.glob("*.y*ml")], n=1)
        hint = f" (did you mean {path.parent / near[0]}?)" if near else ""
        raise ConfigError(f"The {kind} file {path} does not exist{hint}.") from error
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
    return tree, [Mistake(keys, f"given more than once ({lines})") for keys, lines in repeated]


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"only {value!r}"


def apply(tree: dict[str, Any], override: str, given: list[tuple[str, ...]]) -> Mistake | None:
    """Put one `a.b=value` into the tree, its keys into `given`; the value is YAML: lists, numbers, text."""
    key, equals, text = override.partition("=")
    keys = tuple(key.strip().split("."))
    if not equals or not all(keys):
        given.append((override,))
        return Mistake((override,), "expected KEY=VALUE, as in training.num_epochs=1")
    given.append(keys)
    try:
        value, _ = parse_yaml(text)
    except YamlMistake as error:
        return Mistake(keys, f"the value {text!r} is not valid YAML ({error})")
    return put(tree, keys, value)


def put(tree: dict[str, Any], keys: tuple[str, ...], value: Any) -> Mistake | None:
    """Set the key; what it belongs to keeps its other keys, which are the defaults where it was not given."""
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


def report(source: str, mistakes: Sequence[Mistake], given: Sequence[tuple[str, ...]] = ()) -> str:
    """All mistakes, one a line; those at keys `given` by --set are marked, and are not blamed on `source`."""
    marked = [(mistake, _from_flag(mistake, given)) for mistake in mistakes]
    flags = sum(flag for _, flag in marked)
    where = source if not flags else "--set" if flags == len(marked) else f"{source} with --set"
    count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    lines = [f"  {'--set ' if flag else ''}{mistake}" for mistake, flag in marked]
    return "\n".join([f"{where} has {count}:", *lines])


def _from_flag(mistake: Mistake, given: Sequence[tuple[str, ...]]) -> bool:
    """Whether a key that it is about was given by --set."""
    places = mistake.together or (mistake.keys,)
    return any(_overlap(place, keys) for place in places for keys in given)


def _overlap(one: Keys, other: Keys) -> bool:
    """Whether one path lies within the other, as a mistake at `hardware` does for `hardware.device`."""
    shared = min(len(one), len(other))
    return shared > 0 and one[:shared] == other[:shared]
