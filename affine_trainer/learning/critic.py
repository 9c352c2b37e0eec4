"""The value network on a language model's hidden states, its clipped loss, and how much it explains."""

from __future__ import annotations

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
