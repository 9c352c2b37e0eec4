"""The doctor on this machine: every part of its report, for models it knows and does not know."""

import json
from pathlib import Path

import pytest

from affine_trainer.config import load_config
from affine_trainer.errors import AffineError
from affine_trainer.memory import Estimate
from affine_trainer.stages.doctor import doctor, notes, packages, verdict

ROOT = Path(__file__).parents[2]


def test_the_shipped_config_of_a_4b_model_gets_an_estimate_for_every_stage(capsys):
    report = doctor(load_config(ROOT / "configs" / "qwen3-4b.yaml"), as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(json.dumps(report))
    assert [stage["stage"] for stage in report["stages"]] == ["collect", "sft", "rl", "eval"]
    assert 15 < report["stages"][1]["total_bytes"] / 2**30 < 30
    assert round(report["model"]["num_trainable"] / 1e6) == 132
    assert any("10x" in note for note in report["notes"])


def needs(capsys, *overrides: str) -> dict[str, float]:
    """The estimates in GiB."""
    report = doctor(load_config(None, overrides), as_json=True)
    capsys.readouterr()
    return {stage["stage"]: stage["total_bytes"] / 2**30 for stage in report["stages"]}


def test_the_default_run_is_estimated_above_what_it_took_and_not_far_above(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fresh = needs(capsys)
    assert 2.9 <= max(fresh.values()) <= 1.6 * 2.9, "2.9 GiB was the largest process (docs/log.md)"
    assert fresh["eval"] >= 2.1, "an evaluation took 2.1 GiB"
    alone = needs(capsys, "data.agentgym.environments=[]")
    assert 1.3 <= alone["rl"] <= 2.2 * 1.3, "with prompts as long as the limit allows"
    (tmp_path / "data/default").mkdir(parents=True)
    lengths = {"prompt": {"mean": 119.3, "max": 126}, "completion": {"mean": 11.0, "max": 13}}
    audit = {"counts": {"train": {}, "validation": {}}, "tokens": {"affine:sat@small": lengths}}
    (tmp_path / "data/default/audit.json").write_text(json.dumps(audit))
    assert 1.3 <= needs(capsys, "data.agentgym.environments=[]")["rl"] <= 1.55 * 1.3
    assert 2.9 <= needs(capsys)["rl"] <= 1.45 * 2.9


def test_the_table_names_machine_stages_and_verdicts(capsys):
    doctor(load_config(ROOT / "configs" / "qwen3-4b.yaml"))
    shown = capsys.readouterr().out
    for words in ("cores", "isolation level", "4,022.5 M parameters", "sft", "rl", "note:"):
        assert words in shown
    assert "fits" in shown or "does not fit" in shown


def test_an_unknown_model_gets_a_sentence_and_no_numbers(capsys):
    report = doctor(load_config(None, ["model.name=someone/unheard-of"]), as_json=True)
    capsys.readouterr()
    assert report["stages"] == []
    assert "someone/unheard-of cannot be known" in report["notes"][0]


def test_a_model_folder_that_does_not_exist_is_an_error():
    with pytest.raises(AffineError, match="does not exist"):
        doctor(load_config(None, ["model.name=./nowhere"]))


def test_a_stage_fits_when_its_peak_is_within_the_memory_it_runs_in():
    need = Estimate("sft", {"weights": 10 * 2**30}, on_gpu=True)
    assert need.total == pytest.approx(11 * 2**30)
    assert verdict(need, device_bytes=12 * 2**30, ram_bytes=0)["fits"]
    assert not verdict(need, device_bytes=10 * 2**30, ram_bytes=2**40)["fits"]
    assert verdict(Estimate("collect", {"runtime": 1}, on_gpu=False), 0, 2**30)["memory"] == "RAM"


def test_the_notes_follow_the_config():
    cpu = {"type": "cpu", "bf16": False}
    asked = load_config(None, ["training.bf16=true", "evaluation.num_samples=100"])
    found = " ".join(notes(asked, None, cpu))
    assert "training.bf16 is true" in found and "fewer than 200" in found and "no GPU" in found
    full = load_config(None, ["training.use_lora=false", "training.learning_rate=2e-5"])
    assert not any("10x" in note for note in notes(full, None, {"type": "cuda", "bf16": True}))


def test_installed_packages_are_held_against_their_ranges():
    for package in packages():
        assert package.version is not None, package.name
