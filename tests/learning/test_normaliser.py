"""Running moments against their closed form, and the four ways to normalise advantages."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from affine_trainer.config import RLConfig
from affine_trainer.learning.normaliser import Normaliser, RunningMoments


def batches(count: int, seed: int = 0) -> list[Tensor]:
    """Values of unlike numbers, means and spreads, float64."""
    generator = torch.Generator().manual_seed(seed)
    return [
        n + (1 + n / 5) * torch.randn(3 + 7 * n % 11, generator=generator, dtype=torch.float64)
        for n in range(count)
    ]


def normaliser(mode: str, **changed: Any) -> Normaliser:
    return Normaliser(RLConfig(normalize_advantages=mode, **changed))


def normalised(wanted: Normaliser, advantages: Tensor, actions: Tensor) -> Tensor:
    return wanted(advantages, actions, rewards_differ=True)[0]


def test_running_moments_equal_the_weighted_means_of_all_tokens_so_far() -> None:
    decay, seen, moments = 0.8, batches(9), RunningMoments(0.8)
    for number, batch in enumerate(seen, start=1):
        moments.update(batch)
        weights = torch.cat(
            [torch.full_like(b, decay ** (number - k)) for k, b in enumerate(seen[:number], start=1)]
        )
        everything = torch.cat(seen[:number])
        mean = float((weights * everything).sum() / weights.sum())
        square = float((weights * everything**2).sum() / weights.sum())
        assert moments.mean == pytest.approx(mean, abs=1e-12)
        assert moments.std == pytest.approx(math.sqrt(square - mean**2), abs=1e-10)


def test_with_batches_of_one_size_it_is_adams_bias_correction() -> None:
    decay, moments, first, second = 0.99, RunningMoments(0.99), 0.0, 0.0
    for number in range(1, 30):
        batch = torch.randn(50, generator=torch.Generator().manual_seed(number), dtype=torch.float64)
        moments.update(batch)
        first = decay * first + (1 - decay) * float(batch.mean())
        second = decay * second + (1 - decay) * float((batch**2).mean())
        unbiased = [moment / (1 - decay**number) for moment in (first, second)]
        assert moments.mean == pytest.approx(unbiased[0], abs=1e-12)
        assert moments.std == pytest.approx(math.sqrt(unbiased[1] - unbiased[0] ** 2), abs=1e-12)


def test_the_first_batch_does_not_linger_as_a_seeded_average_would_let_it() -> None:
    moments = RunningMoments(0.99)
    moments.update(torch.full((10,), 100.0))
    for _ in range(50):
        moments.update(torch.zeros(10))
    share = 0.99**50 * 0.01 / (1 - 0.99**51)
    assert moments.mean == pytest.approx(100 * share)
    assert share < 0.02  # seeded with the first batch it would be 0.6


def test_the_running_deviation_is_not_the_mean_of_deviations() -> None:
    moments = RunningMoments(0.5)
    for value in (-1.0, 1.0):
        moments.update(torch.full((4,), value))
    assert moments.std > 0.9  # either batch alone deviates by 0


def test_masked_tokens_are_not_counted() -> None:
    torch.manual_seed(1)
    advantages, actions = torch.randn(4, 6), torch.rand(4, 6) < 0.5
    wanted, plain = normaliser("ema"), RunningMoments(0.99)
    wanted(torch.where(actions, advantages, 1e6), actions, rewards_differ=True)
    plain.update(advantages[actions])
    assert wanted.running == plain


def test_ema_divides_by_the_deviation_of_all_iterations_and_leaves_the_zero() -> None:
    torch.manual_seed(2)
    actions = torch.ones(3, 5, dtype=torch.bool)
    first, second = torch.randn(3, 5, dtype=torch.float64) * 9, torch.randn(3, 5, dtype=torch.float64)
    wanted, moments = normaliser("ema", advantage_ema_decay=0.7), RunningMoments(0.7)
    for advantages in (first, second):
        found = normalised(wanted, advantages, actions)
        moments.update(advantages)
        assert torch.allclose(found, advantages / moments.std, atol=1e-12)
    assert float(found.std()) < 0.7  # the wide first iteration is remembered


def test_ema_that_centres_takes_the_running_mean_off() -> None:
    actions = torch.tensor([[True, True, False]])
    found = normalised(normaliser("ema", advantage_ema_center=True), torch.tensor([[1.0, 3.0, 8.0]]), actions)
    assert found.tolist() == [[-1.0, 1.0, 0.0]]


def test_each_mode_is_what_its_name_says() -> None:
    advantages, actions = torch.tensor([[2.0, 4.0, 99.0]]), torch.tensor([[True, True, False]])
    expected = {"none": [2, 4, 0], "scale": [2, 4, 0], "batch": [-1, 1, 0], "ema": [2, 4, 0]}  # deviation: 1
    for mode, row in expected.items():
        assert normalised(normaliser(mode), advantages, actions).tolist() == [row]
    halved = {"none": [4, 8, 0], "scale": [2, 4, 0], "batch": [-1, 1, 0], "ema": [2, 4, 0]}
    for mode, row in halved.items():
        assert normalised(normaliser(mode), 2 * advantages, actions).tolist() == [row]


def test_grpo_is_not_scaled_a_second_time() -> None:
    advantages, actions = torch.tensor([[4.0, 8.0]]), torch.tensor([[True, True]])
    assert torch.equal(normalised(normaliser("scale", algorithm="grpo"), advantages, actions), advantages)
    divided = normalised(normaliser("ema", algorithm="grpo"), advantages, actions)
    assert divided.tolist() == [[2.0, 4.0]]


def test_a_spread_of_rounding_noise_is_not_blown_up() -> None:
    advantages, actions = torch.full((2, 3), 0.1), torch.ones(2, 3, dtype=torch.bool)
    for mode in ("scale", "ema"):
        assert torch.equal(normalised(normaliser(mode), advantages, actions), advantages)
    centred = normaliser("batch")(torch.tensor([[0.1, 0.3]]), actions[:1, :2], rewards_differ=False)[0]
    assert torch.allclose(centred, torch.tensor([[-0.1, 0.1]]))


def test_the_decay_and_the_centring_change_what_is_learned_with() -> None:
    def after_three(**changed: Any) -> Tensor:
        wanted = normaliser("ema", **changed)
        rows = [batch[None, :3] for batch in batches(3)]
        return [normalised(wanted, row, torch.ones(1, 3, dtype=torch.bool)) for row in rows][-1]

    assert not torch.allclose(after_three(), after_three(advantage_ema_decay=0.5))
    assert not torch.allclose(after_three(), after_three(advantage_ema_center=True))


def test_its_state_goes_through_json_to_the_last_bit() -> None:
    wanted, other = normaliser("ema"), normaliser("ema")
    for batch in batches(5, seed=3):
        wanted(batch[None], torch.ones(1, len(batch), dtype=torch.bool), rewards_differ=True)
    other.load_state_dict(json.loads(json.dumps(wanted.state_dict())))
    assert other.running == wanted.running


def test_both_kinds_of_moments_are_logged_in_every_mode() -> None:
    for mode in ("batch", "ema", "scale", "none"):
        wanted, actions = normaliser(mode), torch.tensor([[True, True, False]])
        wanted(torch.tensor([[1.0, 3.0, 0.0]]), actions, rewards_differ=True)
        metrics = wanted(torch.tensor([[3.0, 5.0, 0.0]]), actions, rewards_differ=True)[1]
        assert metrics.keys() == {
            f"train/{kind}_adv_{moment}" for kind in ("running", "batch") for moment in ("mean", "std")
        }
        assert (metrics["train/batch_adv_mean"], metrics["train/batch_adv_std"]) == (4.0, 1.0)
        assert 2.0 < metrics["train/running_adv_mean"] < 4.0
        assert metrics["train/running_adv_std"] > 1.0
