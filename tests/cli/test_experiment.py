"""`affine experiment` for real on small runs: what cells share, a kill and a resume, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from affine_trainer.cli import app

REPOSITORY = Path(__file__).parents[2]
FILE = """
name: trial
seeds: [0, 1]
shared_seed: 7
set:
  data: {num_samples: 40, affine.environments: [sat], agentgym.environments: []}
  training: {num_epochs: 1}
  rl_training:
    {num_rollouts: 2, rollout_batch_size: 8, mini_batch_size: 8, micro_batch_size: 8, oversampling: 1.0,
     validation_frequency: 1, validation_samples: 8, save_frequency: 1}
  evaluation: {num_samples: 8, unseen_family_samples: 0}
overlays:
  slow:
  fast: {rl_training.learning_rate: 1e-2}
"""
RESULTS = Path("logs/experiments/trial/experiment.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiments")


def place(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    (folder / name / "e.yaml").write_text(FILE)
    return folder / name


def affine(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["experiment", "e.yaml", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def finished(folder: Path) -> Path:
    """The experiment run through, undisturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place(folder, "undisturbed"))
        code, said = affine()
        assert code == 0, said
        assert "cell 4 of 4: fast, seed 1" in said and "At equal tokens" in said
        return Path.cwd()


def untimed(summary: dict) -> list[dict]:
    """The tables but that at equal time."""
    return [table for table in summary["tables"] if "time" not in table["title"]]


def test_collect_and_sft_are_done_once_and_only_rl_and_eval_differ(finished: Path, monkeypatch):
    monkeypatch.chdir(finished)
    [data, linked] = sorted(p for p in Path("data").iterdir() if p.name.startswith("shared-"))
    assert linked.is_symlink() and linked.resolve() == data.resolve()
    for run in ("trial.slow.0", "trial.fast.0", "trial.slow.1", "trial.fast.1"):
        assert Path("data", run).resolve() == data.resolve()
        assert (
            Path("models", run, "sft_final").resolve() == Path("models", linked.name, "sft_final").resolve()
        )
        assert not Path("models", run, "rl_best").is_symlink()
    manifests = [json.loads(Path("models", r, "rl_best/manifest.json").read_text()) for r in
                 ("trial.slow.0", "trial.fast.1")]  # fmt: skip
    assert [m["seed"] for m in manifests] == [0, 1]
    assert manifests[0]["depends_on"]["inputs"] == manifests[1]["depends_on"]["inputs"]
    assert json.loads((data / "manifest.json").read_text())["seed"] == 7


def test_results_hold_every_cell_and_a_second_call_only_prints_them(finished: Path, monkeypatch):
    monkeypatch.chdir(finished)
    before = RESULTS.read_text()
    summary = json.loads(before)
    assert [cell["state"] for cell in summary["cells"]] == ["evaluated"] * 4
    rows = summary["tables"][0]["rows"]
    assert list(rows) == ["slow", "fast"] and rows["fast"]["difference"]["num_seeds"] == 2
    changed = Path("models/trial.slow.0/rl_best/manifest.json").stat().st_mtime_ns
    code, said = affine("--baseline", "fast")
    assert code == 0 and "cell 1" not in said
    assert Path("models/trial.slow.0/rl_best/manifest.json").stat().st_mtime_ns == changed
    assert json.loads(RESULTS.read_text())["tables"][0]["rows"]["slow"]["difference"] is not None
    RESULTS.write_text(before)


def test_a_killed_experiment_goes_on_and_ends_with_the_same_table(finished: Path, folder: Path, monkeypatch):
    monkeypatch.chdir(place(folder, "killed"))
    program = "import sys; from affine_trainer.cli import main; main(['experiment', 'e.yaml'])"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    second = Path("logs/trial.fast.0/rl/events.jsonl")
    while process.poll() is None and not second.exists():
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was to die in its second cell"
    first = Path("models/trial.slow.0/rl_best/manifest.json").stat().st_mtime_ns
    code, said = affine()
    assert code == 0 and "cell 1 of 4" not in said and "cell 2 of 4" in said
    assert Path("models/trial.slow.0/rl_best/manifest.json").stat().st_mtime_ns == first
    assert untimed(json.loads(RESULTS.read_text())) == untimed(json.loads((finished / RESULTS).read_text()))


def test_stage_and_experiment_leave_out_the_rest(finished: Path, folder: Path, monkeypatch):
    monkeypatch.chdir(place(folder, "partly"))
    (Path("data")).symlink_to(finished / "data")  # what is shared is there already
    code, said = affine("--stage", "sft")
    assert code == 0 and not RESULTS.exists() and not Path("models/trial.slow.0/rl_best").exists()
    code, said = affine("--experiment", "fast", "--stage", "rl", "--set", "rl_training.num_rollouts=1")
    assert code == 0 and "cell 2 of 2: fast, seed 1" in said
    summary = json.loads(RESULTS.read_text())
    states = {cell["run"]: cell["state"] for cell in summary["cells"]}
    assert states == {"trial.slow.0": "not run", "trial.fast.0": "trained",
                      "trial.slow.1": "not run", "trial.fast.1": "trained"}  # fmt: skip
    assert [table["title"].partition(":")[0] for table in summary["tables"]] == [
        "At equal tokens", "At equal time", "Before RL"]  # fmt: skip


def test_a_failing_cell_is_told_and_does_not_stop_the_others(finished: Path, monkeypatch):
    monkeypatch.chdir(finished)
    code, said = affine("--set", "rl_training.num_rollouts=1", "--stage", "rl")
    assert code == 2
    assert "cell 4 of 4" in said and "4 of 4 cells failed" in said
    assert "rl_training.num_rollouts was 2, now 1" in said
    affine()  # puts the results of the file as it stands back


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--stage", "train"], "--stage is 'train'; give one of collect, sft, rl, eval"),
        (["--experiment", "fats"], "has no overlay 'fats'; did you mean fast?"),
        (["--baseline", "x"], "has no overlay 'x'; it has slow, fast"),
    ],
)
def test_what_is_not_there_is_refused(finished: Path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(finished)
    code, said = affine(*arguments)
    assert code == 2 and sentence in said.replace("\n", " ")
