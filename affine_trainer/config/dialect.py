"""The YAML that configs are written in: numbers as people write them, and no key given twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

# YAML 1.1, which PyYAML follows, reads 2e-5 as text, 010 as 8, 1:30 as 90 and 2025-11-14 as a date.
DECIMAL = re.compile(r"^[-+]?\d[\d_]*$")
FLOAT = re.compile(
    r"^[-+]?(\.\d[\d_]*|\d[\d_]*(\.[\d_]*)?)([eE][-+]?\d+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
)
REPLACED_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
RESOLVERS = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in REPLACED_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

Keys = tuple[str, ...]


class Loader(yaml.SafeLoader):
    """Plain values only, no tags that run code."""


class Dumper(yaml.SafeDumper):
    """Quotes what Loader would take for a number, and writes lists in one line."""


class YamlMistake(Exception):
    """The text is no YAML; the message opens with the line."""


def parse_yaml(text: str) -> tuple[Any, list[tuple[Keys, str]]]:
    """The value of a YAML text, and the keys given more than once with their lines."""
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, []
        return loader.construct_document(node), list(_repeated(node, ()))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise YamlMistake(f"{line}{error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise YamlMistake(str(error)) from error
    finally:
        loader.dispose()


def _repeated(node: yaml.Node, keys: Keys, above: tuple[yaml.Node, ...] = ()) -> Iterator[tuple[Keys, str]]:
    if not isinstance(node, yaml.MappingNode) or node in above:  # an alias may lead back to where it is
        return
    lines: dict[str, list[int]] = {}
    for key, value in node.value:
        name = str(key.value)
        lines.setdefault(name, []).append(key.start_mark.line + 1)
        if len(lines[name]) == 1:
            yield from _repeated(value, (*keys, name), (*above, node))
    for name, found in lines.items():
        if len(found) > 1:
            yield (*keys, name), f"lines {', '.join(map(str, found[:-1]))} and {found[-1]}"


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node).replace("_", ""))


for kind in (Loader, Dumper):
    kind.yaml_implicit_resolvers = {first: list(resolvers) for first, resolvers in RESOLVERS.items()}
    kind.add_implicit_resolver("tag:yaml.org,2002:int", DECIMAL, list("-+0123456789"))
    kind.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))
Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)
