"""What is wrong with keys that are right by themselves, all of it at once.

pydantic stops at the first error that a validator raises. So a section lists its complaints, and the root of
a file raises those of all its sections together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel

Keys = tuple[str, ...]


class Complaint(NamedTuple):
    """`keys` are all that take part, as paths from the section that complains."""

    keys: tuple[Keys, ...]
    message: str

    def at(self, section: Keys) -> Complaint:
        return Complaint(tuple((*section, *keys) for keys in self.keys), self.message)


class PlacedComplaint(NamedTuple):
    """A complaint with the section that it is reported under; its keys are paths from the root."""

    section: Keys
    complaint: Complaint


class Complaints(ValueError):
    """The complaints of a whole file."""

    def __init__(self, found: list[PlacedComplaint]) -> None:
        super().__init__("; ".join(placed.complaint.message for placed in found))
        self.found = found


def complaint(keys: str, message: str) -> Complaint:
    """`keys` are dotted and separated by spaces: "gamma gae_level"."""
    return Complaint(tuple(tuple(key.split(".")) for key in keys.split()), message)


def refuse_complaints(root: BaseModel) -> None:
    """Raise Complaints where `root` or a section within it has any."""
    if found := list(_placed(root, ())):
        raise Complaints(found)


def _placed(section: BaseModel, place: Keys) -> Iterator[PlacedComplaint]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _placed(value, (*place, name))
    for each in getattr(section, "complaints", tuple)():
        yield PlacedComplaint(place, each.at(place))
