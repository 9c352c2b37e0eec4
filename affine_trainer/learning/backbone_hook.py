"""Between a model and its LM head: which tokens are scored, and what a critic says of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from affine_trainer.learning.critic import Critic


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
