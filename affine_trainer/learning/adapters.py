"""LoRA for RL: a fresh adapter on the merged SFT model, merged to sample, saved joined with SFT's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from affine_trainer.config import TrainingConfig

ADAPTER_FILE, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
TRAINED, SFT, JOINED = "default", "sft", "joined"


def lora_config(training: TrainingConfig) -> LoraConfig:
    """The adapter that SFT and RL both train."""
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=training.lora_r,
        lora_alpha=training.lora_alpha,
        lora_dropout=training.lora_dropout,
        target_modules=list(training.lora_target_modules),
    )


@contextmanager
def merged_for_sampling(model: nn.Module) -> Iterator[None]:
    """Inside, the adapter is part of the weights, so that a decoding step costs what the plain model's does.

    The merge is out of place: leaving puts the very same base tensors back. Only float32 weights are merged;
    in bfloat16 the sum would round, and the model that samples would not be the one that is trained.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, LoraLayer)]
    weights = [cast(nn.Linear, layer.get_base_layer()).weight for layer in layers]
    if not isinstance(model, PeftModel) or any(weight.dtype != torch.float32 for weight in weights):
        yield
        return
    originals: list[Tensor] = [weight.data for weight in weights]
    try:
        with torch.no_grad():
            for layer, weight in zip(layers, weights, strict=True):
                weight.data = weight.data + cast(Any, layer).get_delta_weight(TRAINED)
        with model.disable_adapter():
            yield
    finally:
        for weight, original in zip(weights, originals, strict=True):
            weight.data = original


def save_joined_adapter(model: PeftModel, sft_adapter: Path, folder: Path, base: str) -> None:
    """Save one adapter that does on the pristine `base` what SFT's and the trained one do in a row.

    The trained adapter sits on a base that SFT's was merged into; on the pristine base it would be silently
    wrong. Concatenating the low-rank factors of both (PEFT's "cat") adds their updates exactly.
    """
    model.load_adapter(str(sft_adapter), SFT)
    try:
        model.add_weighted_adapter([SFT, TRAINED], [1.0, 1.0], JOINED, combination_type="cat")
        adapter = cast(LoraConfig, model.peft_config[JOINED])
        adapter.base_model_name_or_path = base
        adapter.target_modules = sorted(adapter.target_modules or ())  # a set's order differs by process
        model.save_pretrained(str(folder), selected_adapters=[JOINED], save_embedding_layers=False)
        for name in (
            ADAPTER_FILE,
            ADAPTER_CONFIG,
        ):  # PEFT gives adapters of other names a folder of their own
            (folder / JOINED / name).replace(folder / name)
        shutil.rmtree(folder / JOINED)
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's card, with nothing in it
    finally:
        model.set_adapter(TRAINED)
        for name in (SFT, JOINED):
            if name in model.peft_config:
                model.delete_adapter(name)
