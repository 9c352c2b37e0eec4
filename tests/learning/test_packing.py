"""Rows that share a prompt: what the model says of them is what it says of each row alone."""

from __future__ import annotations

import torch
from torch import Tensor
from trl.trainer.utils import add_fused_lm_head

from affine_trainer.learning.backbone_hook import BackboneHook
from affine_trainer.learning.critic import Critic
from affine_trainer.learning.packing import Rows, pack_rows
from affine_trainer.learning.trl_scoring import read_values, score_actions
from tests.tiny_model import tiny_model

PROMPTS = ([11, 12, 13, 14, 15, 16], [21, 22, 23])
REPLIES = ((0, [31, 32]), (1, [33]), (0, [34, 35, 36]), (0, [37]), (1, [38, 39]))


def shared_rows() -> Rows:
    """Five rows of two prompts, with padding."""
    sequences = [PROMPTS[number] + reply for number, reply in REPLIES]
    lengths = torch.tensor([len(ids) for ids in sequences])
    width = int(lengths.max())
    prompts = torch.tensor([len(PROMPTS[number]) for number, _ in REPLIES])
    columns = torch.arange(1, width)
    return Rows(
        ids=torch.tensor([ids + [0] * (width - len(ids)) for ids in sequences]),
        lengths=lengths,
        prompt_lengths=prompts,
        groups=torch.tensor([number for number, _ in REPLIES]),
        actions=(columns >= prompts[:, None]) & (columns < lengths[:, None]),
    )


def alone(rows: Rows) -> Rows:
    return Rows(rows.ids, rows.lengths, rows.prompt_lengths, torch.arange(len(rows.groups)), rows.actions)


def test_each_prompt_is_laid_out_once_and_every_token_keeps_its_position() -> None:
    rows = shared_rows()
    packed = pack_rows(rows)
    assert packed.input_ids[0].tolist() == [11, 12, 13, 14, 15, 16, 31, 32, 34, 35, 36, 37]
    assert packed.input_ids[1, :6].tolist() == [21, 22, 23, 33, 38, 39]
    assert packed.position_ids is not None
    assert packed.position_ids[0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 6]
    real = rows.real
    assert torch.equal(packed.input_ids.flatten()[packed.places[real]], rows.ids[real])


def test_no_token_sees_another_rows_reply() -> None:
    mask = pack_rows(shared_rows()).attention_mask
    assert mask is not None
    assert mask[0, 0, 8].nonzero()[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 8]
    assert mask[1, 0, 5].nonzero()[:, 0].tolist() == [0, 1, 2, 4, 5]


def test_values_logprobs_entropies_and_gradients_are_those_of_rows_read_alone() -> None:
    rows, found = shared_rows(), []
    for asked in (rows, alone(rows)):
        model, critic = tiny_model(), Critic(32, 4)
        torch.manual_seed(0)
        torch.nn.init.normal_(critic.value.weight)
        torch.nn.init.normal_(critic.hidden.weight, std=0.1)
        add_fused_lm_head(model, temperature=1.0, outputs=("log_probs", "entropy"))
        hook = BackboneHook(model.base_model, critic)
        values = read_values(model, hook, asked)
        logprobs, entropies = score_actions(model, hook, asked, read_values=True)
        assert entropies is not None
        (logprobs.sum() + entropies.sum()).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        found.append([values, logprobs, entropies, *gradients])
    together, apart = found
    assert len(together) == len(apart) > 10
    for ours, theirs in zip(together, apart, strict=True):
        assert isinstance(ours, Tensor)
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)
