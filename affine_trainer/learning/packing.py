"""Rows that begin with the same prompt, laid out so that the model reads the prompt once for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rows:
    """b episodes, right-padded: ids (b, W), their lengths and those of their prompts (b,), and groups (b,).

    Rows of one group have the same prompt, and the tokens behind it are all the rows differ in. `actions`
    (b, W - 1) marks at column t whether token t + 1 was sampled.
    """

    ids: Tensor
    lengths: Tensor
    prompt_lengths: Tensor
    groups: Tensor
    actions: Tensor

    def to(self, device: torch.device) -> Rows:
        tensors = (self.ids, self.lengths, self.prompt_lengths, self.groups, self.actions)
        return Rows(*(tensor.to(device) for tensor in tensors))

    @property
    def real(self) -> Tensor:
        """(b, W): which columns hold a token and not padding."""
        return torch.arange(self.ids.shape[1], device=self.ids.device) < self.lengths[:, None]


@dataclass(frozen=True, slots=True)
class PackedRows:
    """What the model reads: (G, L) ids, a line a group, its prompt first and then what follows in each row.

    `places` (b, W) says where a row's token lies in the flattened (G * L). Tokens attend to their prompt and
    to their own row alone, at the positions they have in their row. Where no two rows share a prompt,
    positions and mask are None: plain causal attention over right-padded rows.
    """

    input_ids: Tensor
    position_ids: Tensor | None
    attention_mask: Tensor | None
    places: Tensor


def pack_rows(rows: Rows) -> PackedRows:
    """The packed form of `rows`; exact, since attention in a causal model only looks back."""
    count, width = rows.ids.shape
    columns = torch.arange(width, device=rows.ids.device)
    lines = torch.unique(rows.groups, return_inverse=True)[1]
    if int(lines.max()) + 1 == count:
        return PackedRows(
            rows.ids, None, None, torch.arange(count * width, device=columns.device).view(count, width)
        )
    starts, line_lengths = _starts(rows, lines)
    shape = (len(line_lengths), int(line_lengths.max()))
    in_prompt = columns < rows.prompt_lengths[:, None]
    shift = torch.where(in_prompt, 0, starts[:, None] - rows.prompt_lengths[:, None])
    places = (lines[:, None] * shape[1] + columns + shift).clamp(max=shape[0] * shape[1] - 1)
    real = rows.real
    owner = torch.where(in_prompt, 0, torch.arange(1, count + 1, device=columns.device)[:, None])

    def laid_out(values: Tensor, fill: int) -> Tensor:
        flat = torch.full((shape[0] * shape[1],), fill, device=columns.device)
        flat[places[real]] = values.expand(count, width)[real]
        return flat.view(shape)

    owners = laid_out(owner, -1)
    return PackedRows(
        input_ids=laid_out(rows.ids, 0),
        position_ids=laid_out(columns, 0),
        attention_mask=_visible(owners)[:, None],
        places=places,
    )


def _starts(rows: Rows, lines: Tensor) -> tuple[Tensor, Tensor]:
    """Where each row's own tokens begin in its line, and the length of each line."""
    ends: dict[int, int] = {}
    starts = []
    for line, prompt, length in zip(
        *(t.tolist() for t in (lines, rows.prompt_lengths, rows.lengths)), strict=True
    ):
        start = ends.get(line, prompt)
        starts.append(start)
        ends[line] = start + length - prompt
    device = lines.device
    return torch.tensor(starts, device=device), torch.tensor([ends[n] for n in sorted(ends)], device=device)


def _visible(owners: Tensor) -> Tensor:
    """(G, L, L): a token sees what lies before it in the prompt (owner 0) or in its own row."""
    order = torch.arange(owners.shape[1], device=owners.device)
    before = order[None, :] <= order[:, None]
    related = (owners[:, None, :] == owners[:, :, None]) | (owners[:, None, :] == 0)
    return before & related
