"""The critic, its loss, and explained variance."""

from __future__ import annotations

import math

import torch

from affine_trainer.learning.backbone_hook import BackboneHook
from affine_trainer.learning.critic import Critic, clipped_value_loss, explained_variance
from tests.tiny_model import tiny_model


def test_first_values_are_zero_and_float32_even_of_bfloat16_states_under_autocast() -> None:
    critic = Critic(8, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = critic(torch.randn(3, 5, 8, dtype=torch.bfloat16))
    assert values.shape == (3, 5)
    assert values.dtype == torch.float32
    assert torch.all(values == 0)


def test_value_loss_is_half_the_squared_error_near_the_old_value() -> None:
    values, returns = torch.tensor([0.1, -0.1]), torch.tensor([1.0, 0.5])
    assert torch.allclose(clipped_value_loss(values, values, returns, 0.2), 0.5 * (values - returns) ** 2)


def test_a_value_that_moved_too_far_towards_its_return_gets_no_gradient() -> None:
    values = torch.tensor([0.5, 0.1], requires_grad=True)
    clipped_value_loss(values, torch.zeros(2), torch.ones(2), 0.2).sum().backward()
    assert values.grad is not None
    assert values.grad[0] == 0
    assert values.grad[1] < 0


def test_explained_variance_of_perfect_constant_and_opposite_critics() -> None:
    returns = torch.tensor([0.0, 1.0, 2.0])
    assert explained_variance(returns + 5, returns) == 1.0
    assert explained_variance(torch.full((3,), 0.3), returns) == 0.0
    assert explained_variance(-returns, returns) == -3.0
    assert math.isnan(explained_variance(returns, torch.ones(3)))


def test_hook_reads_values_and_scores_only_where_asked_and_is_gone_afterwards() -> None:
    model = tiny_model()
    critic = Critic(32, 4)
    torch.nn.init.normal_(critic.value.weight)
    hook = BackboneHook(model.base_model, critic)
    ids = torch.randint(5, 200, (2, 6))
    plain = model(ids)
    positions = torch.tensor([[0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0]]).bool()
    with hook.selecting(positions.flatten().nonzero()[:, 0], score_tokens=True, read_values=True):
        chosen = model(ids).logits
    assert chosen.shape == (1, 3, plain.logits.shape[-1])
    assert torch.allclose(chosen[0], plain.logits[positions], atol=1e-5)
    assert hook.values is not None
    states = model.base_model(ids).last_hidden_state
    assert torch.allclose(hook.values, critic(states[positions]), atol=1e-6)
    assert torch.equal(model(ids).logits, plain.logits)


def test_the_value_loss_reaches_critic_and_backbone() -> None:
    model = tiny_model()
    critic = Critic(32, 4)
    torch.nn.init.normal_(critic.value.weight)
    hook = BackboneHook(model.base_model, critic)
    with hook.selecting(torch.arange(4), score_tokens=False, read_values=True):
        model(torch.tensor([[7, 8, 9, 10]]), logits_to_keep=1)
    assert hook.values is not None
    hook.values.pow(2).sum().backward()
    reached = [*critic.parameters(), model.model.layers[0].self_attn.q_proj.weight]
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in reached)
