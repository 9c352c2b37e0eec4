"""Which validation was the best so far, and whether the run has stopped improving."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class EarlyStopping:
    """`patience` counts validations in a row that beat the best by less than `min_improvement`."""

    patience: int
    min_improvement: float
    best_score: float | None = None
    best_iteration: int | None = None
    num_without_improvement: int = 0

    def update(self, iteration: int, score: float) -> bool:
        """Take in a validation; True when it is the new best."""
        if self.best_score is None or score >= self.best_score + max(self.min_improvement, 1e-12):
            self.best_score, self.best_iteration = score, iteration
            self.num_without_improvement = 0
            return True
        self.num_without_improvement += 1
        return False

    @property
    def exhausted(self) -> bool:
        return self.num_without_improvement >= self.patience

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
