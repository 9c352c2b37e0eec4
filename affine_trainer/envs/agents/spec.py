"""What sets the five interactive environments apart: reply form, scale of the score, rounds, step rewards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from affine_trainer.envs.agents.replies import ReplyForm

ACKNOWLEDGEMENT = "OK. I'll follow the rules."


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One environment.

    `do_nothing` is an action that changes nothing. A raw score between `low` and `high` is graded as its
    place between them, as the validators do; training is paid from 0 up. `agentgym_rounds` is the round limit
    of AgentGym's own evaluation. `guide_rewards` maps the first word of an action to what the training guide
    pays for a step of it ("" for any other). A random player looks at the possible actions every `look_every`
    rounds: sciworld takes as long to list them as for ten of them.
    """

    env: str
    form: ReplyForm
    do_nothing: str
    agentgym_rounds: int
    guide_rewards: Mapping[str, float]
    low: float = 0.0
    high: float = 1.0
    look_every: int = 1

    @property
    def name(self) -> str:
        """`webshop` of `agentgym:webshop`."""
        return self.env.partition(":")[2]

    def score(self, raw: float) -> float:
        """The raw score as a grade from 0 to 1."""
        return min(1.0, max(0.0, (raw - self.low) / (self.high - self.low)))

    def earned(self, raw: float) -> float:
        """The raw score as training counts it: from 0 (nothing, or worse) to 1."""
        return min(1.0, max(0.0, raw / self.high))


SPECS: Mapping[str, AgentSpec] = {
    spec.name: spec
    for spec in (
        AgentSpec("agentgym:babyai", "line", "check available actions", 20, {}),
        AgentSpec(
            "agentgym:sciworld", "rest", "wait1", 30, {"": 0.15}, low=-100.0, high=100.0, look_every=10
        ),
        AgentSpec("agentgym:textcraft", "line", "inventory", 20, {"": 0.15}),
        AgentSpec("agentgym:alfworld", "rest", "look", 30, {"": 0.2}),
        AgentSpec("agentgym:webshop", "rest", "", 10, {"search": 0.1, "click": 0.3}),
    )
}
