"""Writes what the documentation takes from the code: the page of all config keys, and the blocks of files.

python -m scripts.write_docs [--check]
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic.fields import FieldInfo

from affine_trainer.config import Config, Section
from affine_trainer.config.dialect import Dumper
from affine_trainer.stages import collect, compare, evaluate, rl, sft

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGE = DOCS / "configuration.md"
# <!-- file: examples/change.py from="class Play:" --> and the code block behind it
FILE_BLOCK = re.compile(
    r'(<!-- file: (\S+?)(?: from="([^"]+)")? -->\n```(\w+)\n)(.*?)^(```)$', re.DOTALL | re.MULTILINE
)
READERS = {
    "collect": collect.READS,
    "sft": sft.READS,
    "rl": rl.READS,
    "eval": evaluate.READS,
    "compare": compare.READS,
}
BOUNDS = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}
COMMENT = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<value>.*?)(\s+# (?P<words>.*))?$")
OPENING = """# Configuration

<!-- Written by scripts/write_docs.py; `make docs-reference` writes it anew. -->

All keys of `config.yaml`. A key that is left out has its default here; `affine config` prints what a file and
`--set` come to. An unknown key, a wrong type and a value out of range are refused by name.
**Redone by** names the stages that a changed value makes anew: their fingerprint holds the key.
"""


def leaves(model: type[Section] = Config, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key that holds a value, dotted, in the order of the file."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from leaves(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def comments(text: str) -> dict[str, str]:
    """What config.yaml says behind each key, by its dotted name."""
    found, above = dict[str, str](), list[tuple[int, str]]()
    for line in text.splitlines():
        parts, key = COMMENT.match(line), ".".join(key for _, key in above)
        if parts is None and key in found and line.lstrip().startswith("# "):
            found[key] += f" {line.lstrip()[2:]}"
        if parts is None:
            continue
        indent = len(parts["indent"])
        above = [entry for entry in above if entry[0] < indent]
        above.append((indent, parts["key"]))
        if parts["words"]:
            found[".".join(key for _, key in above)] = parts["words"]
    return found


def default_of(key: str) -> str:
    value: Any = Config().model_dump(mode="json")
    for part in key.split("."):
        value = value[part]
    if isinstance(value, (dict, list)):
        return yaml.dump(value, Dumper=Dumper, default_flow_style=True, sort_keys=False, width=10_000).strip()
    return yaml.dump(value, Dumper=Dumper, width=10_000).removesuffix("\n...\n").strip()


def values_of(field: FieldInfo) -> str:
    """Choices and range, as far as the type says; empty where it says nothing."""
    choices = [repr(arg).strip("'") for arg in _flat(field.annotation) if isinstance(arg, str)]
    bounds = [
        f"{sign} {_number(getattr(bound, name))}"
        for bound in (*field.metadata, *_metadata(field.annotation))
        for kind, (sign, name) in BOUNDS.items()
        if isinstance(bound, kind)
    ]
    if get_origin(field.annotation) in (dict, tuple):
        choices = []
    parts = [", ".join(dict.fromkeys(bounds)), ", ".join(dict.fromkeys(choices))]
    if not any(parts) and any(isinstance(bound, MinLen) for bound in field.metadata):
        parts = ["not empty"]
    if NoneType in get_args(field.annotation):
        parts.append("null")
    return " or ".join(filter(None, parts))


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _flat(kind: Any) -> Iterator[Any]:
    arguments = get_args(kind)
    if not arguments:
        yield kind
    for argument in arguments:
        yield from _flat(argument)


def _metadata(kind: Any) -> Iterator[Any]:
    for argument in (kind, *get_args(kind)):
        for item in getattr(argument, "__metadata__", ()):
            yield from getattr(item, "metadata", (item,))


def readers_of(key: str) -> str:
    return ", ".join(
        stage
        for stage, reads in READERS.items()
        if any(key == read or key.startswith(f"{read}.") for read in reads)
    )


def page() -> str:
    """The whole page; KeyError names a key that neither its type nor config.yaml explains."""
    words = comments((ROOT / "config.yaml").read_text())
    parts, section = [OPENING], None
    for key, field in leaves():
        above = key.rpartition(".")[0]
        if above != section:
            section = above
            parts.append(f"\n## {section or 'The file itself'}\n")
            parts.append("| key | default | values | meaning | redone by |\n|---|---|---|---|---|")
        meaning = words.get(key, field.description)
        if not meaning:
            raise KeyError(f"{key} has neither a description nor a comment in config.yaml")
        cells = (f"`{key}`", f"`{default_of(key)}`", values_of(field), meaning, readers_of(key))
        parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(parts) + "\n"


def with_files(text: str) -> str:
    """A page whose file blocks hold their files, from the line that `from` names."""

    def filled(block: re.Match[str]) -> str:
        content = (ROOT / block[2]).read_text()
        return f"{block[1]}{content[content.index(block[3]) if block[3] else 0 :]}{block[6]}"

    return FILE_BLOCK.sub(filled, text)


def written() -> dict[Path, str]:
    """Every page that holds something of the code, as it should be."""
    pages = {path: with_files(path.read_text()) for path in DOCS.rglob("*.md") if path != PAGE}
    return pages | {PAGE: page()}


def main() -> None:
    stale = [path for path, text in written().items() if not path.is_file() or path.read_text() != text]
    if "--check" in sys.argv and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        sys.exit(f"{names}: not what the code says; write it anew with `make docs-reference`")
    for path in stale:
        path.write_text(written()[path])


if __name__ == "__main__":
    main()
