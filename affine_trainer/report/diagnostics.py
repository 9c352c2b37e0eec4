"""Distributions in a run's diagnostics: samples of advantages and values, wherever a file holds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from affine_trainer.report.run_files import RunFiles
from affine_trainer.report.traced import Traced

KINDS = {"advantage": "advantages", "value": "values"}


@dataclass(frozen=True, slots=True)
class Distribution:
    """Samples of one kind by group, as outcome or estimator; `note` says where they come from."""

    kind: str
    title: str
    unit: str
    note: str
    groups: dict[str, list[float]]


def distributions(run: RunFiles) -> list[Distribution]:
    """One distribution a file and kind; a list of numbers belongs to the kind that its path names last."""
    found = []
    for name, content in run.diagnostics.items():
        groups: dict[str, dict[str, list[float]]] = {}
        for path, samples in _samples(content, ()):
            kind = next((KINDS[word] for key in reversed(path) for word in KINDS if word in key.lower()), None)
            if kind is not None:
                groups.setdefault(kind, {})[_group(path, kind)] = samples
        for kind, mine in groups.items():
            count = sum(map(len, mine.values()))
            note = f"{count:,} samples of {content.where.rstrip('#')}"
            found.append(Distribution(kind, f"{kind.capitalize()}, {name}", kind.removesuffix("s"), note, mine))
    return found


def _samples(item: Traced, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[float]]]:
    if isinstance(item.raw, list):
        plain = [float(v) for v in item.raw if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if len(plain) == len(item.raw) > 1:
            yield path, plain
    for key, part in item.entries():
        yield from _samples(part, (*path, key))


def _group(path: tuple[str, ...], kind: str) -> str:
    """What tells this list from the others: the keys of its path that do not say the kind."""
    words = [key for key in path if key.lower() not in (kind, kind.removesuffix("s"))]
    return " ".join(words) or kind
