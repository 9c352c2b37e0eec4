"""`affine diagnose` on a real small RL run: what it writes, that it changes nothing, what it refuses."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from affine_trainer.artifacts import data_dir, model_dir, stage_folder, write_json
from affine_trainer.config import Config, load_config
from affine_trainer.errors import StageError
from affine_trainer.policies.model_names import model_path
from affine_trainer.stages.diagnose import Measures, diagnose
from affine_trainer.stages.rl import rl
from affine_trainer.stages.run_state import config_of_run

SETTINGS = (
    "data.affine.environments=[sat]",
    "data.agentgym.environments=[]",
    "rl_training.num_rollouts=2",
    "rl_training.rollout_batch_size=8",
    "rl_training.mini_batch_size=8",
    "rl_training.micro_batch_size=8",
    "rl_training.samples_per_task=2",
    "rl_training.validation_frequency=2",
    "rl_training.critic_learning_rate=1e-2",
    "rl_training.warmup_steps=0",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Config]:
    folder = tmp_path_factory.mktemp("diagnose")
    (folder / "config.yaml").write_text("run: t\n")
    config = load_config(folder / "config.yaml", SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prepare(config)
        rl(config)
    return folder, config


def prepare(config: Config) -> None:
    """The folders that collect and sft would leave, around the embedded model as it is."""
    data, sft = data_dir(config), model_dir(config, "sft_final")
    lists = {"rl": {"affine:sat@small": [*range(2_000_000, 2_000_040)]}}
    lists["validation"] = {"affine:sat@small": [*range(1_000_000, 1_000_008)]}
    with stage_folder("collect", data, config, reads=("seed",), inputs={}) as folder:
        write_json(data / "tasks.json", lists)
        folder.finish({})
    with stage_folder("sft", sft, config, reads=("seed",), inputs={}) as folder:
        shutil.copytree(model_path("nano"), sft, dirs_exist_ok=True)
        folder.finish({})


@pytest.fixture
def config(trained, monkeypatch: pytest.MonkeyPatch) -> Config:
    folder, config = trained
    monkeypatch.chdir(folder)
    return config


def test_it_writes_gradients_distributions_and_reasons_and_changes_nothing_of_the_run(config, capsys):
    before = {path: path.stat().st_mtime_ns for path in Path("models").rglob("*") if path.is_file()}
    events = Path("logs/t/rl/events.jsonl").read_text()
    folder = diagnose(config_of_run("t", "rl"), measures=Measures(9, 6, 8))
    found = json.loads((folder / "diagnostics.json").read_text())
    assert folder.parent == Path("logs/t/diagnostics") and folder.name.startswith("best-")
    assert (found["episodes"], found["tasks"], found["configured"]) == (8, 4, "group")
    assert set(found["gradients"]) >= {"gae", "group", "baseline"}
    group = found["gradients"]["group"]
    assert (group["episode"]["units"], group["task"]["units"]) == (8, 4)
    assert group["task"]["variance"]["value"] > 0.0
    assert group["task"]["snr"]["lower"] < group["task"]["snr"]["value"] < group["task"]["snr"]["upper"]
    assert found["gradients"]["baseline"].keys() & {"snr_difference", "silent"}
    assert found["zero_variance"]["affine:sat@small"]["tasks"] == 8
    rows = list(csv.DictReader((folder / "advantages.csv").open()))
    of_group = [row for row in rows if (row["of"], row["step"]) == ("group", "all")]
    everything = next(row for row in found["advantages"] if (row["of"], row["step"]) == ("group", "all"))
    assert sum(int(row["count"]) for row in of_group) == everything["number"]
    assert float(of_group[-1]["cumulative_share"]) == 1.0
    assert {row["of"] for row in csv.DictReader((folder / "values.csv").open())} == {"critic"}
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert Path("logs/t/rl/events.jsonl").read_text() == events
    assert "Policy gradient on 8 episodes of 4 tasks" in capsys.readouterr().out
    again = diagnose(config, measures=Measures(8, 6, 8))
    assert json.loads((again / "diagnostics.json").read_text()) == found


def test_values_are_compared_with_the_truth_and_vine_with_the_others_where_it_is_asked(config, capsys):
    with_vine = json.loads(
        (diagnose(config, measures=Measures(8, 6, 8, vine=True)) / "diagnostics.json").read_text()
    )
    shown = capsys.readouterr().out
    folder = diagnose(config, measures=Measures(8, 6, 8))
    found = json.loads((folder / "diagnostics.json").read_text())
    assert set(with_vine["gradients"]) - set(found["gradients"]) == {"vine"}
    vine = next(row for row in with_vine["advantages"] if (row["of"], row["step"]) == ("vine", "all"))
    assert vine["deviation"] > 0.0
    assert with_vine["gradients"]["gae"] == found["gradients"]["gae"]
    assert with_vine["calibration"] == found["calibration"]
    calibration = found["calibration"]
    assert (calibration["states"], calibration["fresh_rollouts"]) == (6, 8)
    assert {name: entry["number"] for name, entry in calibration["values"].items()} == {
        "critic": 6,
        "monte_carlo": 6,
    }
    assert "Values against the truth" in shown and "Monte Carlo: the mean of 9 other plays" in " ".join(
        shown.split()
    )
    rows = list(csv.DictReader((folder / "calibration.csv").open()))
    assert [float(row["truth"]) for row in rows] == [row["truth"] for row in calibration["rows"]]
    assert all(0.0 <= float(row["truth"]) <= 1.0 for row in rows)


def test_without_states_nothing_is_compared_with_the_truth(config):
    folder = diagnose(config, measures=Measures(8, 0))
    found = json.loads((folder / "diagnostics.json").read_text())
    assert found["calibration"] == {"left_out": "not asked for (--states 0)"}
    assert not (folder / "calibration.csv").exists()


def test_vine_is_refused_beside_returns_that_are_discounted_by_tokens(config):
    rl = config.rl_training.model_copy(update={"gae_level": "token"})
    other = config.model_copy(update={"rl_training": rl})
    with pytest.raises(StageError, match=r"--vine discounts by turns.*leave --vine out"):
        diagnose(other, measures=Measures(8, vine=True))


def test_events_say_how_much_an_iteration_could_teach(config):
    rows = [json.loads(line) for line in Path("logs/t/rl/events.jsonl").read_text().splitlines()]
    iterations = [row for row in rows if "rl/reward" in row]
    assert all(0.0 <= row["rl/zero_variance_tasks"] <= 1.0 for row in iterations)
    assert all(0.0 <= row["rl/zero_advantages"] <= 1.0 for row in iterations)
    assert all(row["rl/tokens"] > 0 for row in iterations)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"at": "best-77"}, r"--at is 'best-77'; there are best, last, best-\d"),
        ({"measures": Measures(5)}, "--episodes 5 makes fewer than 3 tasks.*give at least 6"),
    ],
)
def test_weights_that_are_not_there_and_too_few_episodes_are_refused(config, options, sentence):
    with pytest.raises(StageError, match=sentence):
        diagnose(config, **options)


def test_a_run_of_another_version_is_told_how_to_give_a_config(config, monkeypatch):
    monkeypatch.setattr("affine_trainer.stages.run_state.config_from_record", lambda content: None)
    with pytest.raises(StageError, match=r"rl_best holds the config of another version.* with --config"):
        config_of_run("t", "rl")


def test_a_run_without_rl_is_told_what_to_run(config):
    other = config.model_copy(update={"run": "u"})
    prepare(other)
    with pytest.raises(StageError, match=r"holds no weights of an RL run: run `affine rl` first"):
        diagnose(other)
    with pytest.raises(StageError, match="run `affine rl` first"):
        config_of_run("u", "rl")
    with pytest.raises(StageError, match="there is no run 'nobody' here"):
        config_of_run("nobody", "rl")
    assert not model_dir(other, "rl_best").exists()
