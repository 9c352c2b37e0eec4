"""The event stream, its sinks, and the progress bar."""

import io
import json
import math
import re
import struct
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import rich
from rich.console import Console

from affine_trainer.artifacts import read_jsonl
from affine_trainer.colours import model_looks
from affine_trainer.config import Config, load_config
from affine_trainer.errors import ConfigError
from affine_trainer.tracking import open_tracker, progress, truncate_events

ROOT = Path(__file__).parents[1]
OFFLINE = ["tracking.use_wandb=true", "tracking.wandb_mode=offline", "tracking.wandb_project=trial"]


def events(folder: Path) -> list[dict]:
    return list(read_jsonl(folder / "events.jsonl"))


def test_an_event_is_one_line_with_time_stage_step_and_metrics(tmp_path):
    with open_tracker(Config(), tmp_path / "sft", "sft") as tracker:
        tracker.log({"loss": 0.5, "phase": "train", "counts": [1, 2]}, step=3)
        [event] = events(tmp_path / "sft")  # readable while the stage runs
    assert datetime.fromisoformat(event.pop("time")).utcoffset() is not None
    assert event == {"stage": "sft", "step": 3, "loss": 0.5, "phase": "train", "counts": [1, 2]}


def test_numbers_that_json_lacks_become_null_and_numpy_scalars_numbers(tmp_path):
    with open_tracker(Config(), tmp_path, "rl") as tracker:
        tracker.log({"a": math.nan, "b": -math.inf, "c": np.float32(0.5), "d": np.int64(7)}, step=0)
    line = (tmp_path / "events.jsonl").read_text()
    assert "NaN" not in line and "Infinity" not in line
    event = json.loads(line)
    assert (event["a"], event["b"], event["c"], event["d"]) == (None, None, 0.5, 7)


def test_a_second_opening_appends_and_drops_a_torn_line(tmp_path):
    with open_tracker(Config(), tmp_path, "rl") as tracker:
        tracker.log({"reward": 0.1}, step=0)
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"time": "2025')
    with open_tracker(Config(), tmp_path, "rl") as tracker:
        tracker.log({"reward": 0.2}, step=1)
    assert [event["reward"] for event in events(tmp_path)] == [0.1, 0.2]


def test_events_after_the_resumed_step_are_dropped(tmp_path):
    path = tmp_path / "events.jsonl"
    with open_tracker(Config(), tmp_path, "rl") as tracker:
        for step in range(6):
            tracker.log({"reward": step}, step)
    assert truncate_events(path, 3) == 2
    assert [event["step"] for event in events(tmp_path)] == [0, 1, 2, 3]
    assert truncate_events(path, 3) == 0
    assert truncate_events(path, -1) == 4
    assert truncate_events(path, -1) == 0
    assert truncate_events(tmp_path / "none.jsonl", 3) == 0


def test_the_other_processes_of_a_launch_write_and_show_nothing(tmp_path, monkeypatch):
    with open_tracker(Config(), tmp_path, "rl") as tracker:
        tracker.log({"reward": 0.1}, step=5)
    monkeypatch.setenv("RANK", "1")
    console = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(rich, "_console", console)
    assert truncate_events(tmp_path / "events.jsonl", 0) == 0
    with open_tracker(load_config(None, OFFLINE), tmp_path, "rl") as tracker, progress("rl", 3) as bar:
        tracker.log({"reward": 0.2}, step=6)
        bar.advance()
    assert [event["step"] for event in events(tmp_path)] == [5]
    assert plain(console) == ""


def test_a_terminal_sees_one_line_an_event_and_a_pipe_sees_none(tmp_path, monkeypatch):
    for is_terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=is_terminal, width=200)
        monkeypatch.setattr(rich, "_console", console)
        with open_tracker(Config(), tmp_path, "rl") as tracker:
            tracker.log({"rl/reward": 0.123456, "rl/[name]": 3, "text": "hidden"}, step=7)
        assert plain(console) == ("rl      7  rl/reward 0.1235  rl/[name] 3\n" if is_terminal else "")


def plain(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


def test_a_real_offline_wandb_run_holds_events_and_config_and_a_resumed_one_keeps_its_id(tmp_path):
    """In a process of its own, since W&B keeps a service behind."""
    ids = []
    for step in range(2):
        assert "W&B failed" not in log_offline(tmp_path, step)
        ids.append((tmp_path / "wandb_run_id.txt").read_text().strip())
    assert len(set(ids)) == 1
    runs = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert runs and all(run.name.endswith(ids[0]) for run in runs)
    history, config, project = wandb_records(sorted(tmp_path.rglob("*.wandb"))[-1])
    assert project == "trial"
    assert config["training.lora_r"] == 32 and config["tracking.wandb_mode"] == "offline"
    assert history[0]["reward"] == 0.25 and history[0]["step"] == 1
    assert [event["step"] for event in events(tmp_path)] == [0, 1]


def log_offline(folder: Path, step: int, before: str = "pass", times: int = 1) -> str:
    program = (
        "import wandb; from pathlib import Path; from affine_trainer.config import load_config\n"
        "from affine_trainer.tracking import open_tracker\n"
        f"with open_tracker(load_config(None, {OFFLINE!r}), Path({str(folder)!r}), 'rl') as tracker:\n"
        f"    {before}\n"
        f"    for step in range({step}, {step + times}): tracker.log({{'reward': .25}}, step)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def wandb_records(path: Path) -> tuple[list[dict], dict, str]:
    """History rows, config and project of an offline run's file."""
    from wandb.proto import wandb_internal_pb2

    history, config, project = [], {}, ""
    for data in wandb_blobs(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            project = record.run.project
            config |= {
                item.key or item.nested_key[0]: json.loads(item.value_json)
                for item in record.run.config.update
            }
        elif kind == "history":
            history.append(
                {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            )
    return history, config, project


def wandb_blobs(content: bytes) -> list[bytes]:
    """The records of W&B's file: LevelDB's log format (blocks of 32 KiB, 7-byte headers) behind 7 bytes."""
    blobs, position, first_or_full = [], 7, (1, 2)
    while position + 7 <= len(content):
        if 32768 - position % 32768 < 7:
            position += 32768 - position % 32768
        length, kind = struct.unpack("<HB", content[position + 4 : position + 7])
        part = content[position + 7 : position + 7 + length]
        if kind in first_or_full:
            blobs.append(part)
        else:
            blobs[-1] += part
        position += 7 + length
    return blobs


def test_wandb_failing_in_the_middle_warns_once_and_every_event_is_kept(tmp_path):
    screen = log_offline(tmp_path, 0, before="wandb.run.finish()", times=3)
    assert screen.count("W&B failed and is left out from here on") == 1
    assert len(events(tmp_path)) == 3


def test_a_wandb_that_cannot_start_warns_once_and_the_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "")
    monkeypatch.setenv("HOME", str(tmp_path))  # no stored login
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    console = Console(file=io.StringIO(), width=300)
    monkeypatch.setattr(rich, "_console", console)
    config = load_config(None, ["tracking.use_wandb=true"])
    with open_tracker(config, tmp_path, "rl") as tracker:
        for step in range(3):
            tracker.log({"reward": 0.5}, step)
    assert plain(console).count("W&B failed and is left out from here on") == 1
    assert len(events(tmp_path)) == 3


def test_an_error_of_the_stage_passes_through_the_tracker(tmp_path):
    with pytest.raises(ZeroDivisionError), open_tracker(Config(), tmp_path, "rl"):
        raise ZeroDivisionError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def play(seconds: float, steps: int = 20, **options) -> list[str]:
    """The lines that a pipe sees of `steps` steps of a second each... or of any other length."""
    console, clock = Console(file=io.StringIO(), width=200), Clock()
    with progress("collect", steps, console=console, clock=clock, **options) as bar:
        for _ in range(steps - options.get("completed", 0)):
            clock.now += seconds
            bar.advance()
    return plain(console).splitlines()


def test_without_a_terminal_short_work_is_silent():
    assert play(seconds=0.4) == []


def test_without_a_terminal_a_line_comes_every_ten_seconds_with_rate_and_time_left():
    lines = play(seconds=4.0, unit="samples")
    assert lines[0] == "collect: 3/20 (15%), 0.250 samples/s, 1:08 left"
    assert lines[-1] == "collect: 20/20 (100%), 0.250 samples/s, 0:00 left"
    assert len(lines) == 20 // 3 + 1


def test_steps_done_before_a_resume_do_not_count_in_the_rate():
    assert play(seconds=10.0, steps=20, completed=18)[0] == "collect: 19/20 (95%), 0.100/s, 0:10 left"


def test_without_a_total_there_is_no_time_left():
    console, clock = Console(file=io.StringIO(), width=200), Clock()
    with progress("rows", None, console=console, clock=clock) as bar:
        clock.now = 20.0
        bar.note("loss 0.5")
        bar.advance(5000)
    assert plain(console).splitlines()[0] == "rows: 5000, 250/s, loss 0.5"


def test_bars_nest_on_a_terminal_and_the_inner_one_goes():
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with progress("outer", 2, console=console) as outer:
        for _ in range(2):
            with progress("inner", 3, console=console, unit="it") as inner:
                for _ in range(3):
                    inner.advance()
                inner.note("done")
            outer.advance()
    with progress("next", 1, console=console) as bar:
        bar.advance()
    text = plain(console)
    assert "inner" in text and "2/2" in text and "next" in text


def test_a_bar_whose_work_fails_does_not_stay_on_screen_for_the_next_one():
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with pytest.raises(ZeroDivisionError), progress("fails", 2, console=console):
        raise ZeroDivisionError
    with progress("works", 1, console=console) as bar:
        bar.advance()
    assert "works" in plain(console)


GUIDE = (
    *("episode", "reward", "avg_reward_100", "policy_loss", "value_loss", "entropy", "entropy_coefficient"),
    *("advantages", "kl_divergence", "total_loss", "learning_rate"),
)
EPISODES = {
    **{f"rl/{name}": 0.5 for name in GUIDE},
    **{f"train/{kind}_adv_{what}": 0.25 for kind in ("running", "batch") for what in ("mean", "std")},
    "rl/episode_rewards": [0.0, 1.0, 1.0],
    "rl/samples": [{"task": "affine:sat@small/1", "reply": "x1=True", "reward": 1.0, "why": None}],
}


def test_an_offline_wandb_run_holds_every_named_metric_the_histogram_the_table_and_the_artifact(tmp_path):
    (tmp_path / "evaluation.json").write_text("{}")
    overrides = [*OFFLINE, "tracking.wandb_artifacts=true"]
    program = (
        "from pathlib import Path; from affine_trainer.config import load_config\n"
        "from affine_trainer.tracking import open_tracker\n"
        f"folder = Path({str(tmp_path)!r})\n"
        f"with open_tracker(load_config(None, {overrides!r}), folder / 'rl', 'rl') as tracker:\n"
        f"    tracker.log({EPISODES!r}, 6)\n"
        "    tracker.artifact(folder / 'evaluation.json', 'evaluation')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0 and "W&B failed" not in done.stdout, done.stdout + done.stderr
    path = next(tmp_path.rglob("*.wandb"))
    history, config, _ = wandb_records(path)
    row = next(row for row in history if row.get("step") == 6)
    assert all(row[name] == value for name, value in EPISODES.items() if isinstance(value, float))
    kinds = path.read_bytes()
    assert b"histogram" in kinds and b"table-file" in kinds and b"evaluation" in kinds
    [table] = tmp_path.rglob("*.table.json")
    assert json.loads(table.read_text())["data"] == [["affine:sat@small/1", "x1=True", 1.0, None]]
    assert config["rl_training.algorithm"] == "ppo"
    look = model_looks(["rl"])["rl"]
    assert {name: config[f"look.{name}"] for name in ("model", "color", "marker")} == {
        "model": "rl",
        "color": look.colour,
        "marker": look.marker,
    }


def test_an_evaluation_in_an_offline_wandb_run_has_its_models_colour_and_rows_that_carry_it(tmp_path):
    entry = {"accuracy": 0.25, "confidence_interval": {"lower": 0.125, "upper": 0.5}, "num_samples": 8}
    summary = {
        "success": {"macro": {"rate": 0.25}, "micro": {"rate": 0.25}},
        "per_environment": {"affine:sat": entry},
    }
    program = (
        "from pathlib import Path; from affine_trainer.config import load_config\n"
        "from affine_trainer.stages.evaluation_event import track\n"
        f"import os; config = load_config(None, {OFFLINE!r}); os.chdir({str(tmp_path)!r})\n"
        f"track(config, 'mine', {summary!r}, Path('.'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0 and "W&B failed" not in done.stdout, done.stdout + done.stderr
    history, config, _ = wandb_records(next(tmp_path.rglob("*.wandb")))
    colour = model_looks(["mine"])["mine"].colour
    assert config["look.model"] == "mine" and config["look.color"] == colour
    assert next(row for row in history if "eval/success/affine:sat" in row)["eval/success/affine:sat"] == 0.25
    [table] = tmp_path.rglob("*.table.json")
    assert json.loads(table.read_text())["data"] == [["affine:sat", "mine", colour, 0.25, 0.125, 0.5, 8]]


class HangingRun:
    """A W&B run whose server answers no more."""

    name = "default-rl"

    def define_metric(self, *args, **options): ...

    def log(self, *args, **options):
        time.sleep(60)

    def finish(self, *args, **options):
        time.sleep(60)


def test_a_wandb_that_hangs_is_left_behind_after_its_time(tmp_path, monkeypatch):
    import wandb

    monkeypatch.setattr("affine_trainer.tracking.wandb_sink.GRACE_SECONDS", 0.0)
    console = Console(file=io.StringIO(), width=300)
    monkeypatch.setattr(rich, "_console", console)
    config = load_config(None, ["tracking.use_wandb=true", "tracking.wandb_timeout=0.2"])
    for start in (lambda **options: HangingRun(), lambda **options: time.sleep(60)):
        monkeypatch.setattr(wandb, "init", start)
        with open_tracker(config, tmp_path, "rl") as tracker:
            tracker.log({"reward": 0.5}, 0)
            tracker.log({"reward": 0.5}, 1)
    shown = plain(console)
    assert shown.count("no answer within 0.2 s (tracking.wandb_timeout)") == 2
    assert len(events(tmp_path)) == 4


def test_tensorboard_holds_scalars_histogram_and_samples(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = load_config(None, ["tracking.use_tensorboard=true"])
    with open_tracker(config, tmp_path, "rl") as tracker:
        for step in (1, 2):
            tracker.log({**EPISODES, "rl/reward": step / 4}, step)
    found = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"tensors": 0})
    found.Reload()
    tags = set(found.Tags()["tensors"])
    assert set(EPISODES) <= tags
    rewards = [event.tensor_proto.float_val[0] for event in found.Tensors("rl/reward")]
    assert rewards == [0.25, 0.5]


def test_tensorboard_that_is_missing_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("affine_trainer.tracking.tensorboard_sink.find_spec", lambda name: None)
    config = load_config(None, ["tracking.use_tensorboard=true"])
    with pytest.raises(ConfigError, match=r"affine-trainer\[tensorboard\]"):
        open_tracker(config, tmp_path, "rl").__enter__()
