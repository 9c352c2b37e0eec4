"""What an update did, in numbers: token-weighted means over its micro-batches, and time by phase."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class RunningMeans:
    """Weighted means of named scalars; they stay on the device until `take` reads them all at once."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._weight: Tensor | float = 0.0

    def add(self, values: Mapping[str, Tensor], weight: Tensor) -> None:
        self._weight = self._weight + weight
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach().float() * weight

    def take(self) -> dict[str, float]:
        """The means since the last call."""
        means = {name: float(total / self._weight) for name, total in self._sums.items()}
        self._sums, self._weight = {}, 0.0
        return means


class PhaseClock:
    """Seconds by phase since the last `take`; `wait` ends a phase where work may still be under way."""

    def __init__(self, wait: Callable[[], None] | None = None) -> None:
        self._wait = wait or (lambda: None)
        self._seconds: dict[str, float] = defaultdict(float)
        self._since = time.perf_counter()

    @contextmanager
    def phase(self, name: str, without: str | None = None) -> Iterator[None]:
        """Time what happens inside as `name`, less what an inner phase `without` takes of it."""
        begun = time.perf_counter()
        inner = self._seconds[without] if without else 0.0
        try:
            yield
        finally:
            self._wait()
            inside = self._seconds[without] - inner if without else 0.0
            self._seconds[name] += time.perf_counter() - begun - inside

    def restart(self) -> None:
        self._seconds.clear()
        self._since = time.perf_counter()

    def so_far(self, *phases: str) -> float:
        """Seconds of some phases together since the last `take`."""
        return sum(self._seconds[name] for name in phases)

    def take(self, rest: str) -> dict[str, float]:
        """Seconds of each phase; what no phase accounts for goes to `rest`."""
        self._wait()
        seconds = dict(self._seconds)
        seconds[rest] = time.perf_counter() - self._since - sum(seconds.values())
        self.restart()
        return seconds


@torch.no_grad()
def ppo_diagnostics(
    logprobs: Tensor,
    old_logprobs: Tensor,
    reference_logprobs: Tensor | None,
    advantages: Tensor,
    clip_range: float | None,
) -> dict[str, Tensor]:
    """Means over N action tokens, all arguments (N,): policy loss, share of clipped ratios, two KLs.

    Without `clip_range` the loss is REINFORCE's, and nothing is clipped. Both KLs are Schulman's k3:
    `approx_kl` to the policy that sampled, `kl_divergence` to the reference.
    """
    count = max(1, logprobs.numel())
    log_ratio = logprobs - old_logprobs
    ratio = log_ratio.exp()
    result = {"approx_kl": (ratio - 1 - log_ratio).sum() / count}
    if clip_range is None:
        result["policy_loss"] = -(advantages * logprobs).sum() / count
    else:
        clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
        result["policy_loss"] = -torch.minimum(ratio * advantages, clipped * advantages).sum() / count
        result["clip_fraction"] = ((ratio - 1).abs() > clip_range).sum() / count
    if reference_logprobs is not None:
        away = reference_logprobs - logprobs
        result["kl_divergence"] = (away.exp() - 1 - away).sum() / count
    return result
