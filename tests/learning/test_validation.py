"""How validations are sampled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from affine_trainer.policies.hf import HFPolicy
from affine_trainer.records import Completion, Conversation, Sampling
from tests.learning.ppo_runs import ToyRun, small_config
from tests.tiny_model import tiny_model


@pytest.mark.parametrize(("given", "asked"), [(None, 0.6), (0.0, 0.0), (1.0, 1.0)])
def test_validations_are_sampled_as_practised_unless_the_key_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: float | None, asked: float
) -> None:
    run = ToyRun(tiny_model(), small_config(temperature=0.6, validation_temperature=given), tmp_path)
    temperatures, reply = list[float](), HFPolicy.reply

    def watched(policy: HFPolicy, talks: Sequence[Conversation], sampling: Sampling) -> list[Completion]:
        temperatures.append(sampling.temperature)
        return reply(policy, talks, sampling)

    monkeypatch.setattr(HFPolicy, "reply", watched)
    assert run.validate(0) == run.validate(1)  # the same draws
    assert set(temperatures) == {asked}
