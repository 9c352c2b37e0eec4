"""Adapters merged for sampling and joined with SFT's for saving."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import Qwen3ForCausalLM

from affine_trainer.config import TrainingConfig
from affine_trainer.learning.adapters import lora_config, merged_for_sampling, save_joined_adapter
from tests.tiny_model import save_tiny_model

IDS = torch.arange(5, 23).view(2, 9)


def randomised(model: PeftModel, seed: int) -> PeftModel:
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def load(folder: Path, dtype: torch.dtype = torch.float32) -> Qwen3ForCausalLM:
    return Qwen3ForCausalLM.from_pretrained(folder, dtype=dtype).eval()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_tiny_model(tmp_path / "base")


@torch.no_grad()
def test_joined_adapter_on_the_pristine_base_equals_the_trained_one_on_the_merged_base(
    base: Path, tmp_path: Path
) -> None:
    sft_config = lora_config(TrainingConfig(lora_r=4, lora_alpha=8))
    randomised(get_peft_model(load(base), sft_config), 0).save_pretrained(tmp_path / "sft")
    merged = PeftModel.from_pretrained(load(base), tmp_path / "sft").merge_and_unload()
    fresh = LoraConfig(
        task_type="CAUSAL_LM", r=6, lora_alpha=3, target_modules=["q_proj", "v_proj", "up_proj"]
    )
    trained = randomised(get_peft_model(merged, fresh), 1)
    wanted = trained(IDS).logits
    save_joined_adapter(trained, tmp_path / "sft", tmp_path / "joined", base="some/base")

    loaded = PeftModel.from_pretrained(load(base), tmp_path / "joined").eval()
    assert torch.allclose(loaded(IDS).logits, wanted, atol=1e-5)
    assert not torch.allclose(load(base)(IDS).logits, wanted, atol=1e-2)
    settings = json.loads((tmp_path / "joined" / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "some/base"
    files = {path.name for path in (tmp_path / "joined").iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors"}
    assert torch.equal(trained(IDS).logits, wanted), "saving must leave the trained model as it was"
    assert list(trained.peft_config) == ["default"]


@torch.no_grad()
def test_merging_for_sampling_samples_from_the_same_model_and_restores_the_very_same_base(base: Path) -> None:
    model = randomised(get_peft_model(load(base), lora_config(TrainingConfig(lora_r=4, lora_alpha=8))), 0)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    wanted = model(IDS).logits
    with merged_for_sampling(model):
        weight = model.get_base_model().model.layers[0].mlp.up_proj.base_layer.weight
        assert not torch.equal(
            weight, before["base_model.model.model.layers.0.mlp.up_proj.base_layer.weight"]
        )
        assert torch.allclose(model(IDS).logits, wanted, atol=1e-5)
    assert torch.equal(model(IDS).logits, wanted)
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())


@torch.no_grad()
def test_bfloat16_weights_are_never_merged(base: Path) -> None:
    config = lora_config(TrainingConfig(lora_r=4, lora_alpha=8))
    model = randomised(get_peft_model(load(base, torch.bfloat16), config), 0)
    weight = model.get_base_model().model.layers[0].mlp.up_proj.base_layer.weight
    before = weight.clone()
    with merged_for_sampling(model):
        assert torch.equal(weight, before)
