"""The section `data`: which environments give samples and tasks, in what shares, from where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints

from affine_trainer.config.complaints import Complaint, complaint
from affine_trainer.config.section import (
    AgentEnvironmentName,
    Rounds,
    Section,
    SingleTurnEnvironment,
    Weight,
    weight_complaints,
)

OwnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
BUILT_IN = (*get_args(SingleTurnEnvironment), *get_args(AgentEnvironmentName))


class AffineDataConfig(Section):
    """The three single-turn environments: which, in what shares, from where."""

    environments: tuple[SingleTurnEnvironment, ...] = ("sat", "abd", "ded")
    weights: dict[SingleTurnEnvironment, Weight] = Field(
        default={"sat": 14, "abd": 50, "ded": 34}, description="shares; any positive scale"
    )
    sat_family: Literal["small", "guide", "validator"] = "small"
    programs: str = Field(
        default="generated", min_length=1, description="generated, a hub id, or a local file"
    )
    programs_split: str = Field(default="train", min_length=1)
    buffer_size: int = Field(
        default=1000, ge=1, le=10_000_000, description="rows kept at least in the stream's buffer"
    )
    max_batch: int = Field(default=100, ge=1, le=100_000, description="rows taken from the stream at a time")

    def complaints(self) -> Iterator[Complaint]:
        return weight_complaints(self.environments, self.weights)


class AgentGymConfig(Section):
    """The five interactive environments: which, in what shares, how they are posed and played."""

    environments: tuple[AgentEnvironmentName, ...] = (
        "babyai",
        "sciworld",
        "textcraft",
        "alfworld",
        "webshop",
    )
    weights: dict[AgentEnvironmentName, Weight] = Field(
        default={"babyai": 6, "sciworld": 0.3, "textcraft": 9, "alfworld": 8, "webshop": 1},
        description="shares of the samples, on the scale of data.affine.weights",
    )
    base_urls: dict[AgentEnvironmentName, str] = Field(
        default={}, description="address of an AgentGym server to play instead of the embedded environment"
    )
    rules: Literal["short", "full"] = "short"
    thoughts: bool = Field(default=False, description="experts give a thought before each action")
    max_reply_tokens: int = Field(default=24, ge=1, le=65536, description="of one turn")
    max_rounds: Rounds = Field(default=10, description="of an episode to learn from")
    babyai_levels: tuple[Annotated[int, Field(ge=1, le=40)], ...] = Field(
        default=(14, 15, 16, 19, 20, 22, 25, 30), description="levels to play, none meaning all 40"
    )
    textcraft_depths: tuple[Annotated[int, Field(ge=1, le=4)], ...] = Field(
        default=(1,), description="how many crafts deep the goals are, none meaning any"
    )
    textcraft_recipes: str | None = Field(default=None, description="a folder of recipe files")
    trajectories: tuple[str, ...] = Field(default=(), description="AgentTraj files to learn from besides")

    def complaints(self) -> Iterator[Complaint]:
        return weight_complaints(self.environments, self.weights)


class CustomDataConfig(Section):
    """Environments of your own, played as custom:NAME, and their shares of the samples."""

    environments: dict[OwnName, str] = Field(
        default={}, description="name: path/to/file.py:factory, which makes its task set; trusted code"
    )
    weights: dict[OwnName, Weight] = Field(
        default={},
        description="shares of the samples, on the scale of data.affine.weights; 0 where there is no expert",
    )

    def complaints(self) -> Iterator[Complaint]:
        both = "environments weights"
        if taken := [name for name in self.environments if name in BUILT_IN]:
            message = f"{', '.join(taken)} is an environment of affine: choose another name"
            yield complaint("environments", message)
        if missing := [name for name in self.environments if name not in self.weights]:
            yield complaint(both, f"weights needs a number for {', '.join(missing)} (0: no expert samples)")
        if unknown := [name for name in self.weights if name not in self.environments]:
            yield complaint(both, f"weights has {', '.join(unknown)}, which environments does not name")


class DataConfig(Section):
    """What `collect` gathers."""

    num_samples: int = Field(default=12000, ge=2, le=10_000_000)
    train_split: float = Field(default=0.9, gt=0.0, lt=1.0)
    prompts: str | None = Field(default=None, description="a folder with one template file an environment")
    affine: AffineDataConfig = AffineDataConfig()
    agentgym: AgentGymConfig = AgentGymConfig()
    custom: CustomDataConfig = CustomDataConfig()

    @property
    def environment_names(self) -> tuple[str, ...]:
        """All that is configured, without the kind: `sat`, `webshop`, your own."""
        return (*self.affine.environments, *self.agentgym.environments, *self.custom.environments)

    @property
    def environments(self) -> list[str]:
        """All that is configured, as task keys name them: `affine:sat`, in the order the stages take them."""
        kinds = {"affine": self.affine, "agentgym": self.agentgym, "custom": self.custom}
        return [f"{kind}:{name}" for kind, section in kinds.items() for name in section.environments]

    def complaints(self) -> Iterator[Complaint]:
        names, custom = self.environment_names, self.custom
        lists = "affine.environments agentgym.environments custom.environments"
        if not names:
            first, second, third = lists.split()
            yield complaint(lists, f"{first}, {second} and {third} are all empty: name one")
        elif len(names) == len(custom.environments) and not any(custom.weights.values()):
            message = "custom.weights are all 0, so there would be no sample to train on"
            yield complaint(f"{lists} custom.weights", message)
