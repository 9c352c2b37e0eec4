"""Reading lines of unlike lengths in several passes: the same states and gradients, less padding."""

import pytest
import torch

from affine_trainer.learning import backbone_hook
from affine_trainer.learning.backbone_hook import BackboneHook, passes
from tests.tiny_model import tiny_model


def test_lines_of_one_length_are_read_together_and_short_ones_apart_from_long_ones():
    assert passes([50] * 6, 512) == [[0, 1, 2, 3, 4, 5]]
    assert passes([900, 60, 50, 1000, 70, 40], 512) == [[5, 2, 1, 4], [0, 3]]
    assert passes([900, 60], 0) == [[1, 0]]


def test_a_pass_costs_something_so_little_padding_is_read():
    assert passes([10, 90], 512) == [[0, 1]]
    assert passes([10, 90], 50) == [[0], [1]]


def test_lines_from_which_nothing_is_wanted_are_not_read():
    assert passes([0, 7, 0], 512) == [[1]]
    assert passes([0, 0], 512) == [[0]]


@pytest.mark.parametrize("masked", [False, True])
def test_states_and_gradients_do_not_depend_on_the_number_of_passes(monkeypatch, masked):
    ids = torch.randint(3, 40, (4, 30), generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([30, 5, 7, 28])
    mask = torch.arange(30) < lengths[:, None]
    places = (mask & (torch.arange(30) % 3 == 1)).flatten().nonzero()[:, 0]
    found = []
    for pass_tokens in (1, 100_000):
        monkeypatch.setattr(backbone_hook, "PASS_TOKENS", pass_tokens)
        model = tiny_model()
        hook = BackboneHook(model.base_model, None)
        inputs = {"input_ids": ids, **({"attention_mask": mask.long()} if masked else {})}
        with hook.selecting(places, score_tokens=True, read_values=False):
            logits = model(**inputs).logits
        assert logits.shape[:2] == (1, len(places))
        logits.square().mean().backward()
        found.append([logits.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    for several, one in zip(*found, strict=True):
        assert torch.allclose(several, one, rtol=1e-4, atol=1e-5)
