"""The value network on a language model's hidden states, its clipped loss, and how much it explains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Critic(nn.Module):
    """Two layers in float32; the last starts at zero, so that the first values are 0 and not noise."""

    def __init__(self, model_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(model_size, hidden_size, dtype=torch.float32)
        self.value = nn.Linear(hidden_size, 1, dtype=torch.float32)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    def forward(self, states: Tensor) -> Tensor:
        """Values (...) of hidden states (..., model_size), in float32 also under autocast."""
        with torch.autocast(states.device.type, enabled=False):
            return self.value(torch.tanh(self.hidden(states.float()))).squeeze(-1)


class BackboneHook:
    """A forward hook on the model below the LM head: reads values, leaves the head only what it must score.

    Running inside the wrapped model's forward, critic and head see their inputs where DDP and FSDP expect it.
    Outside `selecting` the forward is untouched.
    """

    def __init__(self, backbone: nn.Module, critic: Critic | None) -> None:
        self.critic = critic
        self.values: Tensor | None = None
        self._places: Tensor | None = None
        self._score_tokens = True
        backbone.register_forward_hook(self._after_forward)

    @contextmanager
    def selecting(self, places: Tensor, *, score_tokens: bool, read_values: bool) -> Iterator[None]:
        """Inside, a forward on (G, L) ids yields `values` at the N `places`, which count in the flat G * L.

        With `score_tokens` the head sees those N states as one row (1, N, model_size), else just one of them.
        """
        self._places, self._score_tokens, self._read_values = places, score_tokens, read_values
        try:
            yield
        finally:
            self._places = None

    def _after_forward(self, module: nn.Module, args: Any, output: Any) -> Any:
        if self._places is None:
            return None
        states = output.last_hidden_state.flatten(0, 1)[self._places]
        self.values = self.critic(states) if self.critic is not None and self._read_values else None
        output.last_hidden_state = states[None] if self._score_tokens else states[None, :1]
        return output


def clipped_value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip_range: float) -> Tensor:
    """Per-token value loss: half the worse of the squared errors with and without clipping.

    The new value may move `clip_range` away from the one the advantages were made with, as in the PPO of
    OpenAI's baselines. All tensors have one shape, which the result has too.
    """
    clipped = old_values + (values - old_values).clamp(-clip_range, clip_range)
    return 0.5 * torch.maximum((values - returns) ** 2, (clipped - returns) ** 2)


def explained_variance(values: Tensor, returns: Tensor) -> float:
    """1 - Var(returns - values) / Var(returns): 1 is a perfect critic, 0 one that says a constant.

    NaN where the returns do not vary.
    """
    total = returns.var(correction=0)
    if returns.numel() == 0 or float(total) < 1e-12:
        return float("nan")
    return float(1.0 - (returns - values).var(correction=0) / total)
