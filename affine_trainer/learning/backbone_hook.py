"""Between a model and its LM head: which tokens are scored, and what a critic says of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from affine_trainer.learning.critic import Critic

PASS_TOKENS = 512  # a forward pass costs about as much as this many tokens, whatever it reads


class BackboneHook:
    """The forward of the model below the LM head: reads values, leaves the head only what it must score.

    Running inside the wrapped model's forward, critic and head see their inputs where DDP and FSDP expect it.
    Lines of unlike lengths are read in several passes, each without the others' padding. Outside `selecting`
    the forward is untouched.
    """

    def __init__(self, backbone: nn.Module, critic: Critic | None) -> None:
        self.critic = critic
        self.values: Tensor | None = None
        self._places: Tensor | None = None
        self._score_tokens = True
        self._plain_forward = backbone.forward
        backbone.forward = self._forward

    @contextmanager
    def selecting(self, places: Tensor, *, score_tokens: bool, read_values: bool) -> Iterator[None]:
        """Inside, a forward on (G, L) ids yields `values` at the N `places`, which count in the flat G * L.

        Attention must only look back. With `score_tokens` the head sees those N states as one row
        (1, N, model_size), else just one of them.
        """
        self._places, self._score_tokens, self._read_values = places, score_tokens, read_values
        try:
            yield
        finally:
            self._places = None

    def _forward(self, *args: Any, **kwargs: Any) -> Any:
        if self._places is None:
            return self._plain_forward(*args, **kwargs)
        output, states = self._read(self._places, **kwargs)
        self.values = self.critic(states) if self.critic is not None and self._read_values else None
        output.last_hidden_state = states[None] if self._score_tokens else states[None, :1]
        return output

    def _read(self, places: Tensor, *, input_ids: Tensor, **kwargs: Any) -> tuple[Any, Tensor]:
        """The last pass's output, and the states at `places`, shape (N, model_size)."""
        lines, columns = places // input_ids.shape[1], places % input_ids.shape[1]
        widths = torch.zeros(len(input_ids), dtype=torch.long, device=places.device)
        widths = widths.scatter_reduce(
            0, lines, columns + 1, "amax"
        )  # what lies behind the last one is not read
        starts, states, read = torch.zeros_like(widths), [], 0
        for group in passes(widths.tolist(), 0 if _several_processes() else PASS_TOKENS):
            which = torch.tensor(group, device=places.device)
            width = max(1, int(widths[which].max()))
            output = self._plain_forward(
                input_ids=input_ids[which, :width],
                **{name: _cut(x, which, width) for name, x in kwargs.items()},
            )
            starts[which] = read + width * torch.arange(len(group), device=places.device)
            states.append(output.last_hidden_state.flatten(0, 1))
            read += width * len(group)
        return output, torch.cat(states)[starts[lines] + columns]


def passes(widths: Sequence[int], pass_tokens: int) -> list[list[int]]:
    """Which lines to read together, by number: the cheapest cut of the lines in order of their widths.

    A pass costs its padded tokens and `pass_tokens`; 0 stands for a single pass. Lines of width 0 are left
    out, unless there are no others.
    """
    order = sorted((line for line, width in enumerate(widths) if width), key=widths.__getitem__) or [0]
    if not pass_tokens:
        return [order]
    cheapest, first = (
        [0],
        [0],
    )  # for each number of lines: the cost of reading them, where the last pass begins
    for end in range(1, len(order) + 1):
        widest = widths[order[end - 1]]
        costs = [cheapest[start] + (end - start) * widest + pass_tokens for start in range(end)]
        cheapest.append(min(costs))
        first.append(costs.index(cheapest[end]))
    cut, end = [], len(order)
    while end:
        cut.append(order[first[end] : end])
        end = first[end]
    return cut[::-1]


def _several_processes() -> bool:
    """Under FSDP all processes must run the same number of passes."""
    distributed = torch.distributed
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def _cut(value: Any, lines: Tensor, width: int) -> Any:
    """An input of the model for these lines and their first `width` columns."""
    if not isinstance(value, Tensor) or value.dim() not in (2, 4):
        return value
    return value[lines, :width] if value.dim() == 2 else value[lines][:, :, :width, :width]
