"""`affine status`: done, running, resumable, stale; seen by another process while the work goes on."""

import json
import multiprocessing
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from affine_trainer.artifacts import data_dir, model_dir, stage_folder, write_json
from affine_trainer.cli import app
from affine_trainer.config import Config, load_config
from affine_trainer.errors import StageError
from affine_trainer.stages.status import run_line, status
from affine_trainer.tracking import json_lines, progress


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def work(config=None, *, end="finish"):
    """A collect of ten steps that finishes, is killed on the way, or waits until it is told to end."""
    config = config or Config()
    with stage_folder("collect", data_dir(config), config, reads=("seed", "data"), inputs={}) as folder:
        with progress("collect", 10, unit="tasks") as bar:
            bar.note("affine:sat")
            for _ in range(4):
                bar.advance()
            if end == "kill":
                return
            while end == "wait" and not Path("go").exists():
                time.sleep(0.02)
            bar.advance(6)
        write_json(data_dir(config) / "audit.json", {"kept": 10})
        folder.finish({"counts": {"train": {"affine:sat@small": 10}}, "seconds": 3.0})


def stage(found, name="collect"):
    return next(each for each in found["stages"] if each["stage"] == name)


def test_nothing_has_begun(capsys):
    found = status(Config())
    assert {each["state"] for each in found["stages"]} == {"waiting"} and found["stages_total"] == 7
    assert found["seconds_left"] > 600 and found["rough"]
    assert "0 of 7 stages done" in capsys.readouterr().out


def test_a_finished_stage_is_done_and_a_killed_one_resumable_with_its_count():
    work(end="kill")
    found = stage(status(Config()))
    assert (found["state"], found["done"], found["total"], found["unit"]) == ("resumable", 4, 10, "tasks")
    assert found["note"] == "affine:sat"
    work()
    found = status(Config())
    assert stage(found)["state"] == "done" and stage(found)["metrics"] == {"train": 10}
    assert stage(found)["seconds_left"] == 0.0 and found["stages_done"] == 1
    assert run_line(Config()).startswith("1 of 7 stages done, about")
    assert run_line(Config(), ["collect"]).startswith("0 of 7")


def checkpoint(stage, step, of):
    write_json(
        Path(f"models/default/{stage}_checkpoints/checkpoint-{step}/trainer_state.json"),
        {"global_step": step, "max_steps": of},
    )


@pytest.mark.parametrize(
    ("name", "leaf", "unit", "per_unit"),
    [("sft", "sft_final", "steps", 1), ("rl", "rl_best", "iterations", 8)],
)
def test_killed_training_goes_on_where_its_last_whole_checkpoint_is(name, leaf, unit, per_unit):
    config = Config()
    path = model_dir(config, leaf)
    with stage_folder(name, path, config, reads=("seed",), inputs={}), progress(name, 17, unit=unit) as bar:
        bar.advance(15)
    found = stage(status(config), name)
    assert (found["state"], found["done"], found["total"]) == ("resumable", 0, 17)
    from_the_start = found["seconds_left"]
    for step in (5, 10):
        checkpoint(name, step * per_unit, 17 * per_unit)
    torn = Path(f"models/default/{name}_checkpoints/checkpoint-{15 * per_unit}/trainer_state.json")
    torn.parent.mkdir()
    torn.write_text('{"global_step": ')
    found = stage(status(config), name)
    assert found["done"] == 10 and torn.exists(), "looking changes nothing"
    assert 0 < found["seconds_left"] < from_the_start


def test_another_terminal_sees_a_stage_run_and_where_it_is():
    worker = multiprocessing.get_context("fork").Process(target=work, kwargs={"end": "wait"})
    worker.start()
    try:
        deadline = time.monotonic() + 30
        while (found := stage(status(Config())))["state"] != "running" or found["total"] is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert found["pid"] == worker.pid and found["total"] == 10 and found["doing"] == "collect"
        assert status(Config())["running"] == "collect"
    finally:
        Path("go").touch()
        worker.join(30)
    assert stage(status(Config()))["state"] == "done"


def test_a_worker_that_died_holds_nothing():
    worker = multiprocessing.get_context("fork").Process(target=work, kwargs={"end": "wait"})
    worker.start()
    while stage(status(Config()))["done"] is None:
        time.sleep(0.02)
    worker.kill()
    worker.join(30)
    assert stage(status(Config()))["state"] == "resumable"


def test_another_config_makes_a_stage_stale_and_names_the_key():
    work()
    found = stage(status(load_config(None, ["data.num_samples=500"])))
    assert found["state"] == "stale" and "data.num_samples was 12000, now 500" in found["why"]
    assert stage(status(load_config(None, ["evaluation.num_samples=5"])))["state"] == "done"


def test_the_table_calls_numbers_by_their_names_and_names_one_key_that_differs(capsys):
    config = load_config(None, ["data.num_samples=500", "evaluation.num_samples=60", "seed=3"])
    work(config)
    path = Path("models/default/sft_final")
    with stage_folder("sft", path, config, reads=("seed",), inputs={"collect": data_dir(config)}) as folder:
        folder.finish({"eval_loss": 0.5, "perplexity": 1.625, "ignored": 3})
    status(config)
    assert "validation loss 0.5, perplexity 1.62" in capsys.readouterr().out
    assert status(Config())["seconds_left"] > 600  # what this config would take, not what that one took
    shown = " ".join(capsys.readouterr().out.split())
    assert "stale" in shown and "`affine status default` shows the run as it was made" in shown
    status(Config(), "default")
    assert "stale" not in capsys.readouterr().out


def test_a_stage_whose_input_is_gone_is_stale():
    config = Config()
    work()
    path = Path("models/default/sft_final")
    with stage_folder("sft", path, config, reads=("seed",), inputs={"collect": data_dir(config)}) as folder:
        folder.finish({"eval_loss": 0.5, "perplexity": 1.6})
    found = stage(status(config), "sft")
    assert found["state"] == "done" and found["metrics"] == {"eval_loss": 0.5, "perplexity": 1.6}
    (data_dir(config) / "manifest.json").unlink()
    (data_dir(config) / "audit.json").write_text("{}")
    found = stage(status(config), "sft")
    assert found["state"] == "stale" and "`collect` has changed" in found["why"]


def test_a_comparison_is_shown_as_its_headline_has_it():
    clear = {"verdict": "undecided", "standing": "worse on the whole (macro), unlikely to dominate"}
    with stage_folder("compare", Path("logs/default/compare"), Config(), reads=(), inputs={}) as folder:
        folder.finish({"base": clear, "sft": {"verdict": "dominates"}})
    found = stage(status(Config()), "compare")["metrics"]
    assert found == {"base": clear["standing"], "sft": "dominates"}


def test_a_run_of_that_name_is_shown_with_its_own_config_and_an_unknown_one_refused():
    work(load_config(None, ["run=other", "data.num_samples=500"]))
    assert stage(status(Config(), "other"))["state"] == "done"
    with pytest.raises(StageError, match="no run 'nobody' here"):
        status(Config(), "nobody")


def test_the_command_prints_json():
    work()
    done = CliRunner().invoke(app, ["status", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["run"] == "default"


def test_json_lines_are_events_on_stdout_with_progress_and_result(capsys):
    with json_lines("collect", True) as report:
        print("for people")
        work()
        report(data_dir(Config()))
    captured = capsys.readouterr()
    events = [json.loads(line) for line in captured.out.splitlines()]
    assert "for people" in captured.err
    bars = [event for event in events if event["event"] == "progress"]
    assert (bars[0]["done"], bars[-1]["done"], bars[-1]["closed"], bars[-1]["unit"]) == (0, 10, True, "tasks")
    assert events[-1]["event"] == "result" and events[-1]["metrics"]["seconds"] == 3.0
    assert events[-1]["folder"] == "data/default"


def test_json_lines_end_with_the_error(capsys):
    with pytest.raises(StageError), json_lines("sft", True):
        raise StageError("nothing there")
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["event"], last["message"], last["exit_code"]) == ("error", "nothing there", 2)


def test_a_command_that_is_refused_says_so_in_json_too():
    done = CliRunner().invoke(app, ["sft", "--json"])
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.exit_code == last["exit_code"] == 2
    assert last["event"] == "error" and "affine collect" in last["message"]


def test_without_the_option_stdout_is_for_people(capsys):
    with json_lines("collect", False) as report:
        work()
        report(data_dir(Config()))
    assert "{" not in capsys.readouterr().out
