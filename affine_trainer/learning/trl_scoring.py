"""Forward passes through TRL's fused LM head: values, log-probabilities and entropies of sampled tokens."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from affine_trainer.learning.backbone_hook import BackboneHook
from affine_trainer.learning.packing import PackedRows, Rows, pack_rows


def read_values(model: Any, hook: BackboneHook, rows: Rows) -> Tensor:
    """The critic at every token that is followed by a sampled one, and at each row's last; (b, W), else 0."""
    wanted = torch.nn.functional.pad(rows.actions, (0, 1))
    wanted = wanted.scatter(1, rows.lengths[:, None] - 1, True)
    packed = pack_rows(rows)
    with hook.selecting(packed.places[wanted], score_tokens=False, read_values=True):
        model(**_inputs(packed), logits_to_keep=1)
    return torch.zeros_like(rows.ids, dtype=torch.float32).masked_scatter(wanted, cast(Tensor, hook.values))


def score_actions(
    model: Any, hook: BackboneHook, rows: Rows, *, read_values: bool
) -> tuple[Tensor, Tensor | None]:
    """Log-probabilities and entropies of the sampled tokens, (b, W - 1) and zero elsewhere.

    `model` is one that TRL's `add_fused_lm_head` patched; entropies are None where it leaves them out. With
    `read_values` the hook keeps the critic's values of the same tokens, in row-major order.
    """
    packed, targets = pack_rows(rows), rows.ids[:, 1:][rows.actions]
    with hook.selecting(packed.places[:, :-1][rows.actions], score_tokens=True, read_values=read_values):
        output = model(**_inputs(packed), shift_labels=targets[None], fused_lm_head=True)
    logprobs, entropies = (
        None if x is None else x.new_zeros(rows.actions.shape).masked_scatter(rows.actions, x[0])
        for x in (output.log_probs, output.entropy)
    )
    return cast(Tensor, logprobs), entropies


def _inputs(packed: PackedRows) -> dict[str, Tensor]:
    """Rows are padded on the right, so causal attention needs no mask unless rows share a prompt."""
    if packed.attention_mask is None or packed.position_ids is None:
        return {"input_ids": packed.input_ids}
    return {
        "input_ids": packed.input_ids,
        "position_ids": packed.position_ids,
        "attention_mask": packed.attention_mask,
    }
