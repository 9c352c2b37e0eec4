"""The memory arithmetic against transformers' own models: parameters, LoRA, and what autograd keeps."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen3Config, Qwen3ForCausalLM

from affine_trainer.config import load_config
from affine_trainer.errors import DataError
from affine_trainer.memory import (
    Architecture,
    architecture_of,
    bytes_kept_a_layer,
    estimates,
    read_architecture,
)

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SMALL = Architecture(192, 448, 3, 6, 2, 32, 1000, True)


def qwen3(sizes: Architecture) -> Qwen3ForCausalLM:
    config = Qwen3Config(
        hidden_size=sizes.hidden_size,
        intermediate_size=sizes.intermediate_size,
        num_hidden_layers=sizes.num_layers,
        num_attention_heads=sizes.num_heads,
        num_key_value_heads=sizes.num_kv_heads,
        head_dim=sizes.head_dim,
        vocab_size=sizes.vocab_size,
        tie_word_embeddings=sizes.tied_embeddings,
    )
    return Qwen3ForCausalLM(config)


@pytest.mark.parametrize("name", ["Qwen/Qwen3-0.6B", "Qwen/Qwen3-4B", "Qwen/Qwen3-8B"])
def test_parameters_are_counted_as_transformers_counts_them(name):
    sizes = architecture_of(name)
    assert sizes is not None
    with torch.device("meta"):
        model = qwen3(sizes)
        model.tie_weights()
    assert sizes.num_parameters == model.num_parameters()


def test_lora_of_rank_64_on_the_seven_projections_of_qwen3_4b_is_132_million():
    sizes = architecture_of("Qwen/Qwen3-4B-Instruct-2507")
    assert sizes is not None
    assert round(sizes.num_lora_parameters(64, TARGETS) / 1e6) == 132


def test_lora_parameters_are_counted_as_peft_counts_them():
    adapted = get_peft_model(qwen3(SMALL), LoraConfig(r=4, target_modules=list(TARGETS)))
    assert SMALL.num_lora_parameters(4, TARGETS) == adapted.get_nb_trainable_parameters()[0]


@pytest.mark.parametrize("name", ["Qwen/Qwen3-30B-A3B", "Qwen/Qwen3-99B", "someone/else"])
def test_an_unknown_hub_id_is_not_guessed_at(name):
    assert architecture_of(name) is None


def test_a_local_folder_is_read_and_a_config_of_something_else_refused(tmp_path):
    qwen3(SMALL).config.save_pretrained(tmp_path)
    assert architecture_of(str(tmp_path)) == SMALL
    (tmp_path / "config.json").write_text('{"model_type": "something"}')
    with pytest.raises(DataError, match="does not describe a decoder-only model"):
        read_architecture(tmp_path / "config.json")


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("use_lora", [False, True])
def test_what_autograd_keeps_of_a_layer_is_as_estimated(use_lora, bf16, dropout):
    overrides = [f"training.use_lora={use_lora}", f"training.bf16={bf16}", f"training.lora_dropout={dropout}"]
    estimated = bytes_kept_a_layer(load_config(None, [text.lower() for text in overrides]), SMALL)
    model = qwen3(SMALL)
    if use_lora:
        model.to(torch.bfloat16 if bf16 else torch.float32)
        lora = LoraConfig(r=4, lora_dropout=dropout, target_modules=list(TARGETS))
        model = get_peft_model(model, lora).base_model.model
    measured = bytes_kept(model.model, tokens=64, bf16=bf16) / (64 * SMALL.num_layers)
    assert estimated == pytest.approx(measured, rel=0.15)


def bytes_kept(backbone: torch.nn.Module, tokens: int, bf16: bool) -> int:
    """Bytes of the distinct tensors that autograd saves, the parameters themselves left out."""
    parameters = {weight.untyped_storage().data_ptr() for weight in backbone.parameters()}
    kept = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = (
                storage.nbytes(),
                tensor,
            )  # the tensor is held: no address comes twice
        return tensor

    ids = torch.arange(tokens)[None]
    backbone.train()
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=bf16),
    ):
        output = backbone(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    assert output.last_hidden_state.shape[1] == tokens
    return sum(size for size, _ in kept.values())


def test_checkpointing_and_lora_each_save_memory_and_longer_prompts_cost_it():
    sizes = architecture_of("Qwen/Qwen3-4B")
    assert sizes is not None

    def sft_bytes(*overrides: str) -> int:
        settings = ["training.bf16=true", "model.dtype=bfloat16", "training.use_lora=true", *overrides]
        found = estimates(load_config(None, settings), sizes, on_gpu=True)
        return next(estimate.total for estimate in found if estimate.stage == "sft")

    plain = sft_bytes()
    assert sft_bytes("training.gradient_checkpointing=true") < plain
    assert sft_bytes("training.use_lora=false") > plain
    assert sft_bytes("model.max_prompt_tokens=4096") > plain


def test_a_reference_model_is_counted_where_ppo_has_no_adapter_to_switch_off():
    sizes = architecture_of("Qwen/Qwen3-4B")
    assert sizes is not None

    def parts(*overrides: str) -> dict[str, int]:
        found = estimates(load_config(None, overrides), sizes, on_gpu=True)
        return next(estimate.parts for estimate in found if estimate.stage == "rl")

    assert "reference" in parts("training.use_lora=false", "rl_training.kl_coef=0.1")
    assert "reference" not in parts("training.use_lora=false", "rl_training.kl_coef=0")
    assert "reference" not in parts("training.use_lora=true", "rl_training.kl_coef=0.1")
