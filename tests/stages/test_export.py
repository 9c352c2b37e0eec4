"""`affine export`: what is written is the base with its adapter, whole, and nothing is ever overwritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from affine_trainer.artifacts import model_dir, read_manifest, stage_folder
from affine_trainer.config import TrainingConfig, load_config
from affine_trainer.errors import AffineError, StageError
from affine_trainer.learning.adapters import lora_config, save_joined_adapter
from affine_trainer.policies.hf import load_model
from affine_trainer.stages.export import export
from tests.evaluations import episodes, write_evaluation
from tests.tiny_model import save_tiny_model, tiny_model

CONFIG = load_config(None, ["model.name=base"])
IDS = torch.arange(5, 23).view(2, 9)


@pytest.fixture(autouse=True)
def base(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return save_tiny_model(Path("base"))


def adapted(seed: int, model: Any = None) -> Any:
    """The base (or `model`) with an adapter that changes what it says."""
    model = get_peft_model(model or whole("base"), lora_config(TrainingConfig(lora_r=4, lora_alpha=8)))
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def whole(folder: str | Path, dtype: Any = torch.float32) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()


def save_adapter(folder: Path, seed: int = 0, base: str = "base") -> Path:
    model = adapted(seed)
    model.peft_config["default"].base_model_name_or_path = base
    model.save_pretrained(str(folder))
    return folder


def trained(leaf: str, stage: str) -> Path:
    """A finished stage folder with an adapter."""
    path = model_dir(CONFIG, leaf)
    with stage_folder(stage, path, CONFIG, reads=("model",), inputs={}) as folder:
        save_adapter(path, seed=len(leaf))
        folder.finish({"eval_loss": 1.25, "best": None, "still_falling": True})
    return path


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    return model(IDS).logits


def test_the_exported_model_gives_the_logits_of_base_and_adapter():
    adapter = save_adapter(Path("plain"))
    folder = export(CONFIG, "plain", Path("out"), "float32")
    wanted = logits(PeftModel.from_pretrained(whole("base"), str(adapter)).eval())
    torch.testing.assert_close(logits(whole(folder)), wanted, atol=1e-5, rtol=0)
    assert not torch.allclose(logits(whole("base")), wanted, atol=1e-2)


def test_an_adapter_joined_by_rl_is_exported_on_the_pristine_base():
    sft = save_adapter(Path("sft"), seed=1)
    merged = PeftModel.from_pretrained(whole("base"), str(sft)).merge_and_unload()
    policy = adapted(2, merged)
    wanted = logits(policy)
    path = model_dir(CONFIG, "rl_best")
    with stage_folder("rl", path, CONFIG, reads=("model",), inputs={}) as folder:
        save_joined_adapter(policy, sft, path, base="base")
        folder.finish({})
    assert export(CONFIG, "rl", None, "float32") == Path("models/default/exported-rl")
    torch.testing.assert_close(logits(whole("models/default/exported-rl")), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "leaf", "stage"), [("sft", "sft_final", "sft"), ("rl_final", "rl_final", "rl")]
)
def test_labels_and_leaves_of_the_run_are_understood(name, leaf, stage):
    path = trained(leaf, stage)
    folder = export(CONFIG, name, None, "float32")
    assert folder == Path(f"models/default/exported-{name}")
    torch.testing.assert_close(
        logits(whole(folder)), logits(load_model(str(path), CONFIG)), atol=1e-5, rtol=0
    )


def test_a_whole_model_is_copied_in_the_dtype_it_is_stored_in():
    tiny_model(3).to(torch.bfloat16).save_pretrained("half")
    AutoTokenizer.from_pretrained("base").save_pretrained("half")
    folder = export(CONFIG, "half", Path("out"))
    stored = whole(folder, "auto")
    assert stored.dtype == torch.bfloat16
    original = whole("half", "auto").state_dict()
    assert all(torch.equal(weight, original[name]) for name, weight in stored.state_dict().items())
    assert whole(export(CONFIG, "half", Path("wide"), "float32"), "auto").dtype == torch.float32


def test_what_is_written_is_complete_and_its_manifest_says_from_what():
    source = trained("sft_final", "sft")
    folder = export(CONFIG, "sft")
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert names == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "README.md",
        "manifest.json",
    }
    manifest, made = read_manifest(folder), read_manifest(source)
    assert manifest is not None and made is not None
    assert manifest.inputs["model"] == {"path": str(source), "digest": made.digest}
    assert manifest.metrics == {
        "model": str(source),
        "base": "base",
        "dtype": "float32",
        "num_parameters": whole(folder).num_parameters(),
    }
    for name in ("tokenizer.json", "chat_template.jinja"):
        assert (folder / name).read_bytes() == (Path("base") / name).read_bytes()
    eos = json.loads((folder / "generation_config.json").read_text())["eos_token_id"]
    assert eos == AutoTokenizer.from_pretrained(folder).eos_token_id


def test_the_card_holds_facts_of_manifests_and_the_evaluations_of_this_very_model():
    source = trained("sft_final", "sft")
    write_evaluation(Path("logs/default/eval/base"), episodes({"affine:sat@small": [True, False]}), CONFIG)
    mine = Path("logs/default/eval/sft")
    write_evaluation(mine, episodes({"affine:sat@small": [True, True, True, False]}), CONFIG)
    about, made = json.loads((mine / "manifest.json").read_text()), read_manifest(source)
    assert made is not None
    about["inputs"] = {"model": {"path": str(source), "digest": made.digest}}
    (mine / "manifest.json").write_text(json.dumps(about))
    card = (export(CONFIG, "sft") / "README.md").read_text()
    assert "| eval_loss | 1.25 |" in card
    assert "still_falling" not in card
    assert card.count("## Evaluation of") == 1
    assert "| affine:sat | 4 | 75.0 % |" in card
    assert f"trained by | affine sft, {made.created}, seed {made.seed} |" in card
    assert "better" not in card.lower()


def test_nothing_is_overwritten():
    export(CONFIG, "base", Path("out"))
    before = (Path("out") / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(StageError, match="out already holds what `affine export` wrote"):
        export(CONFIG, "base", Path("out"))
    assert (Path("out") / "model.safetensors").stat().st_mtime_ns == before
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    with pytest.raises(StageError, match="mine holds files that no stage wrote"):
        export(CONFIG, "base", Path("mine"))
    with pytest.raises(StageError, match="is a file"):
        export(CONFIG, "base", Path("mine/notes.txt"))
    assert Path("mine/notes.txt").read_text() == "mine"


def test_an_interrupted_export_is_begun_again():
    path = Path("out")
    with pytest.raises(KeyboardInterrupt), stage_folder("export", path, CONFIG, reads=("model",), inputs={}):
        (path / "model-00001-of-00002.safetensors").write_bytes(b"torn")
        raise KeyboardInterrupt
    export(CONFIG, "base", path)
    assert not (path / "model-00001-of-00002.safetensors").exists()
    torch.testing.assert_close(logits(whole(path)), logits(whole("base")))


def test_an_adapter_of_another_base_is_refused_and_says_what_to_do():
    save_tiny_model(Path("other"), seed=5)
    save_adapter(Path("plain"), base="other")
    with pytest.raises(AffineError, match=r"was trained on other, and model\.name is base"):
        export(CONFIG, "plain", Path("out"))
    assert not Path("out").exists()
    export(CONFIG, str(save_adapter(Path("same"), base=str(Path("base").resolve()))), Path("out"))


def test_what_is_not_there_names_the_command_that_makes_it():
    with pytest.raises(StageError, match="run `affine rl` first"):
        export(CONFIG, "rl_best")
    with pytest.raises(StageError, match="run `affine sft` first"):
        export(CONFIG, "sft")
    with pytest.raises(AffineError, match="does not exist"):
        export(CONFIG, "./nowhere")
