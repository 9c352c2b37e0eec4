"""`affine preflight`: every rule of a profile passes, fails or cannot be checked, with its date."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from affine_trainer.artifacts import read_manifest
from affine_trainer.cli import app
from affine_trainer.config import TrainingConfig, load_config
from affine_trainer.errors import AffineError, DataError
from affine_trainer.learning.adapters import lora_config
from affine_trainer.preflight.configuration import QWEN3_32B, allowed_architecture
from affine_trainer.preflight.profiles import PROFILES
from affine_trainer.preflight.subject import Subject
from affine_trainer.stages.preflight import Candidate, preflight
from tests.tiny_model import save_tiny_model, tiny_model

CONFIG = load_config(None, ["model.name=base"])
UNSEEN = "cannot be checked offline"


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch) -> None:
    """A base, a model of the same architecture to check, and the champion's."""
    monkeypatch.chdir(tmp_path)
    save_tiny_model(Path("base"))
    save_tiny_model(Path("mine"), seed=1)
    save_tiny_model(Path("champion"), seed=2)


def check(profile: str = "miner-2026", **options: Any) -> dict[str, tuple[str, str]]:
    """Status and detail of every row."""
    report = preflight(CONFIG, Candidate(**{"model": "mine", **options}), profile)
    rows = report["checks"]
    assert report["failed"] == sum(row["status"] == "failed" for row in rows)
    assert all(row["detail"] and row["since"] for row in rows)
    return {row["check"]: (row["status"], row["detail"]) for row in rows}


def edit(path: str, **changes: Any) -> None:
    content = json.loads(Path(path).read_text())
    Path(path).write_text(json.dumps({**content, **changes}))


def test_a_sound_model_passes_all_that_shows_offline():
    rows = check(
        name="me/affine-tiny-5Fkey",
        hotkey="5Fkey",
        champion=Path("champion"),
        earlier=(Path("champion"), Path("base")),
    )
    not_passed = {name: row[0] for name, row in rows.items() if row[0] != "passed"}
    assert not_passed == {"public": UNSEEN, "ungated": UNSEEN, "at most 100 commits": UNSEEN}
    assert "me/affine-tiny-5Fkey" in rows["public"][1]
    report = json.loads(Path("logs/default/preflight/mine/preflight.json").read_text())
    assert (report["profile"], report["failed"], report["unchecked"]) == ("miner-2026", 0, 3)
    assert read_manifest(Path("logs/default/preflight/mine")) is not None


def test_what_is_not_told_cannot_be_checked_and_says_what_to_do():
    rows = check()
    for name in (
        "name contains affine",
        "name ends with the key",
        "champion's tokenizer",
        "weights not identical",
    ):
        assert rows[name][0] == UNSEEN
    assert "--champion" in rows["champion's tokenizer"][1]
    assert "--earlier" in rows["weights not identical"][1]
    assert "--name" in rows["name contains affine"][1]


@pytest.mark.parametrize(
    ("profile", "name", "row", "status"),
    [
        ("miner-2025", "me/affine-one", "name begins with affine", "passed"),
        ("miner-2025", "affine/my-affine", "name begins with affine", "failed"),
        ("miner-2025", "me/Affine-one", "name begins with affine", UNSEEN),
        ("miner-2026", "me/my-affine-5F", "name contains affine", "passed"),
        ("miner-2026", "affine/mine", "name contains affine", "failed"),
        ("miner-2026", "me/affine-5F", "name ends with the key", "passed"),
        ("miner-2026", "me/affine-5f", "name ends with the key", "failed"),
    ],
)
def test_the_name_of_the_repository(profile, name, row, status):
    assert check(profile, name=name, hotkey="5F")[row][0] == status


def test_each_profile_has_its_own_rule_about_weights_seen_before():
    save_file({"a": torch.zeros(2)}, "mine/extra.safetensors")
    Path("earlier").mkdir()
    shutil.copy("mine/extra.safetensors", "earlier/other-name.safetensors")
    shared = {"earlier": (Path("champion"), Path("earlier"))}
    status, detail = check("miner-2025-09", **shared)["no shard shared"]
    assert (status, "extra.safetensors is also in earlier" in detail) == ("failed", True)
    assert check("miner-2025-11", **shared)["weights not identical"][0] == "passed"
    assert "no shard shared" not in check("miner-2025-11", **shared)
    shutil.copytree("mine", "twin")
    for profile in ("miner-2025-11", "miner-2026"):
        assert check(profile, earlier=(Path("twin"),))["weights not identical"][0] == "failed"
    assert not {"no shard shared", "weights not identical"} & {
        rule.name for rule in PROFILES["miner-2025"].rules
    }


@pytest.mark.parametrize("name", ["pytorch_model.bin", "innocent.json", "deep/optimizer.pt"])
def test_a_pickle_is_found_whatever_it_is_called(name):
    path = Path("mine", name)
    path.parent.mkdir(exist_ok=True)
    if name.endswith("pt"):
        torch.save({"a": torch.zeros(2)}, path)
    else:
        path.write_bytes(pickle.dumps({"a": 1}))
    rows = check("miner-2025")
    assert rows["no pickle"][0] == "failed"
    assert name in rows["no pickle"][1]
    assert rows["safetensors only"][0] == ("passed" if name.endswith("json") else "failed")


def test_weights_that_are_not_whole_fail():
    weights = Path("mine/model.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-10])
    assert check()["weights whole"][0] == "failed"
    assert check()["answers"][0] == "failed"
    weights.write_bytes(b"\xff" * 40)
    assert check()["weights whole"][0] == "failed"
    weights.unlink()
    rows = check()
    assert "no .safetensors" in rows["safetensors only"][1]


def test_shards_must_be_those_of_the_index():
    tiny_model(1).save_pretrained("mine", max_shard_size="20KB")
    Path("mine/model.safetensors").unlink()
    assert check()["weights whole"][0] == "passed"
    index = json.loads(Path("mine/model.safetensors.index.json").read_text())
    index["weight_map"]["another.weight"] = next(iter(index["weight_map"].values()))
    Path("mine/model.safetensors.index.json").write_text(json.dumps(index))
    status, detail = check()["weights whole"]
    assert (status, "another.weight" in detail) == ("failed", True)
    Path("mine/model.safetensors.index.json").unlink()
    assert check()["weights whole"][0] == "failed"


def test_a_model_that_lacks_a_weight_does_not_pass_as_one_that_answers():
    weights = load_file("mine/model.safetensors")
    lost = sorted(weights)[3]
    del weights[lost]
    save_file(weights, "mine/model.safetensors", {"format": "pt"})
    status, detail = check()["answers"]
    assert (status, lost in detail) == ("failed", True)


def test_a_model_of_nan_does_not_pass():
    weights = load_file("mine/model.safetensors")
    broken = {name: torch.full_like(tensor, float("nan")) for name, tensor in weights.items()}
    save_file(broken, "mine/model.safetensors", {"format": "pt"})
    assert check()["answers"][0] == "failed"


def test_quantization_and_remote_code_are_refused():
    edit("mine/config.json", quantization_config={"bits": 4}, auto_map={"AutoModel": "m.M"})
    rows = check()
    assert rows["no quantization_config"][0] == "failed"
    assert "auto_map" in rows["no remote code"][1]
    save_tiny_model(Path("mine"), seed=1)
    Path("mine/modeling_mine.py").write_text("")
    assert "modeling_mine.py" in check()["no remote code"][1]


def test_the_chat_template_must_be_there_short_enough_and_sound():
    template = Path("mine/chat_template.jinja")
    template.write_text(template.read_text() + "{# " + "x" * 100_000 + " #}")
    assert check()["chat template"][0] == "failed"
    template.write_text(
        "{% for m in messages %}{{ m['content'] }}{% endfor %}" + "{# " + "x" * 99_000 + " #}"
    )
    rows = check()
    assert (rows["chat template"][0], rows["no remote code"][0]) == ("passed", "passed")
    template.write_text("{% for m in messages %}")
    assert check()["no remote code"][0] == "failed"
    template.unlink()
    assert check()["chat template"][0] == "failed"


def test_the_tokenizer_must_be_the_champions():
    champion = {"champion": Path("champion")}
    tokenizer = json.loads(Path("mine/tokenizer.json").read_text())
    Path("mine/tokenizer.json").write_text(json.dumps(tokenizer, indent=3))
    assert check(**champion)["champion's tokenizer"][0] == "passed", "layout is not content"
    tokenizer["model"]["vocab"]["new"] = len(tokenizer["model"]["vocab"])
    Path("mine/tokenizer.json").write_text(json.dumps(tokenizer))
    status, detail = check(**champion)["champion's tokenizer"]
    assert (status, "in model" in detail) == ("failed", True)
    save_tiny_model(Path("mine"), seed=1)
    edit("mine/tokenizer_config.json", eos_token="<|user|>")
    assert "eos_token" in check(**champion)["champion's tokenizer"][1]


def test_the_architecture_must_be_the_champions_or_one_of_the_list():
    champion = {"champion": Path("champion")}
    edit("mine/config.json", rms_norm_eps=0.5)
    assert "rms_norm_eps" in check(**champion)["allowed architecture"][1]
    save_tiny_model(Path("mine"), seed=1)
    weights = load_file("mine/model.safetensors")
    save_file({**weights, "more": torch.zeros(1)}, "mine/model.safetensors", {"format": "pt"})
    assert "more" in check(**champion)["allowed architecture"][1]
    assert check()["allowed architecture"][0] == "failed", "a tiny model is no Qwen3-32B"


@pytest.mark.parametrize(
    ("config", "status"),
    [
        (QWEN3_32B, "passed"),
        ({**QWEN3_32B, "num_hidden_layers": 36}, "failed"),
        ({"model_type": "qwen3_5_moe"}, UNSEEN),
        ({"model_type": "llama"}, "failed"),
        ({}, "failed"),
    ],
)
def test_without_a_champion_the_sizes_decide(config, status):
    Path("large").mkdir()
    Path("large/config.json").write_text(json.dumps(config))
    assert allowed_architecture(Subject(Path("large"))).status == status


def test_an_adapter_is_exported_first_and_leaves_nothing_behind_unless_asked():
    model = get_peft_model(tiny_model(0), lora_config(TrainingConfig(lora_r=4, lora_alpha=8)))
    model.save_pretrained("adapter")
    rows = check("miner-2025", model="adapter")
    assert rows["safetensors only"][0] == rows["answers"][0] == "passed"
    assert list(Path("models/default").iterdir()) == []
    check("miner-2025", model="adapter", output=Path("out"))
    assert (Path("out") / "model.safetensors").is_file()


def test_the_command_fails_where_a_check_does_and_prints_json():
    arguments = ["preflight", "mine", "--profile", "miner-2025", "--json", "--set=model.name=base"]
    done = CliRunner().invoke(app, [*arguments, "--name=me/affine-1"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["failed"] == 0
    done = CliRunner().invoke(app, [*arguments, "--name=me/other"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["failed"] == 1


def test_what_does_not_exist_is_a_sentence():
    with pytest.raises(AffineError, match="there is no profile 'miner-2031'; --profile takes miner-2025"):
        preflight(CONFIG, Candidate("mine"), "miner-2031")
    with pytest.raises(DataError, match="there is no folder nowhere"):
        preflight(CONFIG, Candidate("mine", champion=Path("nowhere")))
    Path("empty").mkdir()
    with pytest.raises(DataError, match="empty holds no \\.safetensors file to compare with"):
        check(earlier=(Path("empty"),))
