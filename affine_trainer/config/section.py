"""What the sections of config.yaml have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from affine_trainer.config.complaints import Complaint, complaint

Schedule = Literal["constant", "linear", "cosine"]
SingleTurnEnvironment = Literal["sat", "abd", "ded"]
AgentEnvironmentName = Literal["babyai", "sciworld", "textcraft", "alfworld", "webshop"]
Rounds = Annotated[int, Field(ge=1, le=1000)]
Weight = Annotated[float, Field(ge=0.0, le=1000.0)]


class Section(BaseModel):
    """A group of keys: immutable, no unknown key, no silent conversion of text to a number.

    The default of a new key is what the program did before it had the key: stages finished without the key
    count as done where it has its default. Where that cannot be, SCHEMA_VERSION of artifacts/manifest.py
    goes up, and every finished stage is made anew.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=()
    )

    def complaints(self) -> Iterable[Complaint]:
        """What is wrong between keys of this section; the root of the file refuses all of them at once."""
        return ()


def weight_complaints(environments: Sequence[Any], weights: Mapping[Any, float]) -> Iterator[Complaint]:
    """Unless each environment is named once and has a weight above 0."""
    if missing := [name for name in environments if weights.get(name, 0.0) <= 0.0]:
        message = f"weights needs a number above 0 for {', '.join(missing)}"
        yield complaint("environments weights", message)
    if len(set(environments)) < len(environments):
        yield complaint("environments", "environments names one twice")
