"""Folders and files of a run: what a kill, a full disk, another config or a second process may not break."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affine_trainer.artifacts import (
    append_jsonl,
    data_dir,
    log_dir,
    model_dir,
    read_jsonl,
    read_manifest,
    repair_jsonl,
    require,
    sha256_file,
    stage_folder,
    write_atomic,
    write_jsonl,
)
from affine_trainer.config import Config, RLConfig, load_config
from affine_trainer.errors import DataError, StageError


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


DEFAULT = Config()


def collect(config: Config = DEFAULT, content: str = "data", force: bool = False) -> Path:
    """A stage in small: writes one file and finishes."""
    path = data_dir(config)
    with stage_folder("collect", path, config, reads=["seed", "data"], inputs={}, force=force) as folder:
        if not folder.complete:
            write_atomic(path / "train.jsonl", content)
            folder.finish({"samples": 3})
    return path


def sft(config: Config = DEFAULT, **options):
    inputs = {"data": data_dir(config)}
    return stage_folder(
        "sft",
        model_dir(config, "sft_final"),
        config,
        reads=["seed", "model", "training"],
        inputs=inputs,
        **options,
    )


def test_the_folders_are_named_after_the_run():
    config = Config(run="mine")
    assert data_dir(config) == Path("data/mine")
    assert model_dir(config, "sft_final") == Path("models/mine/sft_final")
    assert log_dir(config, "eval", "base") == Path("logs/mine/eval/base")


def test_a_finished_stage_is_complete_the_next_time_and_its_manifest_says_what_made_it():
    path = collect()
    manifest = read_manifest(path)
    assert manifest is not None
    assert (manifest.stage, manifest.seed, manifest.metrics) == ("collect", 0, {"samples": 3})
    assert manifest.files == {"train.jsonl": {"sha256": sha256_file(path / "train.jsonl"), "bytes": 4}}
    assert manifest.config == Config().model_dump(mode="json")
    assert manifest.packages["torch"] and manifest.packages["affine-trainer"]
    with stage_folder("collect", path, Config(), reads=["seed", "data"], inputs={}) as folder:
        assert folder.complete and not folder.resuming and folder.manifest == manifest


def test_an_unfinished_stage_resumes_with_its_files():
    path = data_dir(DEFAULT)
    with stage_folder("collect", path, Config(), reads=["data"], inputs={}) as folder:
        assert not folder.resuming
        append_jsonl(path / "rows.jsonl", {"row": 1})
    with stage_folder("collect", path, Config(), reads=["data"], inputs={}) as folder:
        assert folder.resuming and not folder.complete
        assert list(read_jsonl(path / "rows.jsonl")) == [{"row": 1}]


def test_an_exception_leaves_the_folder_unfinished_and_unlocked():
    with pytest.raises(ZeroDivisionError), sft_of_collected():
        raise ZeroDivisionError
    with sft() as folder:
        assert folder.resuming


def sft_of_collected(**options):
    collect()
    return sft(**options)


def test_a_changed_key_is_refused_by_name_with_both_values():
    collect()
    changed = load_config(None, ["data.num_samples=5", "seed=7", "training.num_epochs=1"])
    with pytest.raises(StageError) as caught:
        collect(changed)
    message = str(caught.value)
    assert "data/default" in message
    for way in ("--force", "--run NAME", "`affine experiment`"):
        assert way in message
    assert "data.num_samples was 12000, now 5" in message and "seed was 0, now 7" in message
    assert "num_epochs" not in message, "collect does not read the training section"


def test_an_unfinished_folder_of_another_config_is_refused_too():
    with stage_folder("collect", data_dir(DEFAULT), Config(), reads=["seed"], inputs={}):
        pass
    with (
        pytest.raises(StageError, match="unfinished run of another config: seed was 0, now 1"),
        stage_folder("collect", data_dir(DEFAULT), Config(seed=1), reads=["seed"], inputs={}),
    ):
        pass


def test_a_key_that_the_stage_does_not_read_changes_nothing():
    collect()
    with stage_folder(
        "collect",
        data_dir(DEFAULT),
        load_config(None, ["evaluation.num_samples=7"]),
        reads=["seed", "data"],
        inputs={},
    ) as folder:
        assert folder.complete


def opened(config: Config, reads: list[str]):
    return stage_folder("collect", data_dir(config), config, reads=reads, inputs={})


@pytest.mark.parametrize("finished", [True, False])
def test_a_key_that_the_folder_did_not_know_changes_nothing_while_it_has_its_default(finished):
    older, newer = ["seed", "training.num_epochs"], ["seed", "training", "data.custom"]
    with opened(DEFAULT, older) as folder:
        if finished:
            folder.finish({})
    with opened(DEFAULT, newer) as folder:
        assert (folder.complete, folder.resuming) == (finished, not finished)
    other = load_config(None, ["training.batch_size=8"])
    with pytest.raises(StageError, match=r"training.batch_size was unset, now 8\."), opened(other, newer):
        pass


def test_what_was_made_of_a_folder_stays_valid_when_the_folder_lacks_a_new_key():
    with opened(DEFAULT, ["seed"]) as folder:
        folder.finish({})
    with sft() as folder:
        folder.finish({})
    with opened(DEFAULT, ["seed", "data"]), sft() as folder:
        assert folder.complete


def test_an_entry_added_to_a_mapping_is_no_new_key_even_where_the_default_has_it():
    few, more = (
        DEFAULT.model_copy(update={"rl_training": RLConfig().model_copy(update={"weights": weights})})
        for weights in ({"sat": 10.0}, {"sat": 10.0, "abd": 6.0})
    )
    with opened(few, ["rl_training.weights"]) as folder:
        folder.finish({})
    message = r"rl_training.weights.abd was unset, now 6\.0"
    with pytest.raises(StageError, match=message), opened(more, ["rl_training.weights"]):
        pass


def test_another_version_of_the_manifest_makes_finished_work_stale(monkeypatch):
    path = collect()
    content = json.loads((path / "manifest.json").read_text())
    del content["schema_version"]  # as it was written before there was one
    (path / "manifest.json").write_text(json.dumps(content))
    collect()
    monkeypatch.setattr("affine_trainer.artifacts.folder.SCHEMA_VERSION", 2)
    with pytest.raises(StageError, match="the version of its manifest was 1, now 2"):
        collect()


def test_another_package_version_is_named(monkeypatch):
    collect()
    monkeypatch.setattr("affine_trainer.artifacts.manifest.__version__", "9.9.9")
    with pytest.raises(StageError, match=r"affine-trainer was .*, now 9\.9\.9"):
        collect()


def test_reading_a_key_that_does_not_exist_is_a_mistake_of_the_program():
    with (
        pytest.raises(KeyError, match="trainings"),
        stage_folder("sft", Path("models/x"), Config(), reads=["trainings"], inputs={}),
    ):
        pass


def test_later_stages_are_stale_when_a_forced_redo_changed_their_input():
    with sft_of_collected() as folder:
        folder.finish({})
    collect(content="other data", force=True)
    with pytest.raises(StageError, match="its input `data` has changed"), sft():
        pass


def test_later_stages_stay_valid_when_a_forced_redo_gave_the_same_data():
    with sft_of_collected() as folder:
        folder.finish({})
    collect(force=True)
    with sft() as folder:
        assert folder.complete


def test_force_keeps_the_old_result_when_the_new_one_fails_before_writing():
    path = collect()
    before = read_manifest(path)
    with (
        pytest.raises(ZeroDivisionError),
        stage_folder(
            "collect", path, Config(seed=1), reads=["seed", "data"], inputs={}, force=True
        ) as folder,
    ):
        assert not folder.complete and not folder.resuming
        raise ZeroDivisionError
    assert read_manifest(path) == before
    assert (path / "train.jsonl").read_text() == "data"
    collect()


def test_force_starts_anew_and_then_forgets_the_old_result():
    path = collect()
    write_atomic(path / "old.txt", "old")
    with stage_folder(
        "collect", path, Config(seed=1), reads=["seed", "data"], inputs={}, force=True
    ) as folder:
        assert sorted(entry.name for entry in path.iterdir()) == [".started.json"]
        write_atomic(path / "train.jsonl", "new")
        folder.finish({})
    assert sorted(entry.name for entry in path.iterdir()) == ["manifest.json", "train.jsonl"]
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".default.lock", "default"]


def test_a_forced_redo_that_was_cut_off_resumes_and_the_old_config_still_finds_the_old_result():
    path = collect()
    new = Config(seed=1)
    with stage_folder("collect", path, new, reads=["seed", "data"], inputs={}, force=True):
        write_atomic(path / "train.jsonl", "half")
    with stage_folder("collect", path, new, reads=["seed", "data"], inputs={}) as folder:
        assert folder.resuming
    with stage_folder("collect", path, Config(), reads=["seed", "data"], inputs={}) as folder:
        assert folder.complete
    assert (path / "train.jsonl").read_text() == "data"


def test_what_lies_beside_a_folder_starts_anew_with_it():
    checkpoints = model_dir(Config(), "sft_checkpoints")
    with sft_of_collected(beside=[checkpoints]) as folder:
        checkpoints.mkdir(parents=True)
        write_atomic(checkpoints / "step-10", "weights")
    with sft(beside=[checkpoints]) as folder:
        assert folder.resuming and (checkpoints / "step-10").exists()
        folder.finish({})
    with sft(beside=[checkpoints], force=True) as folder:
        assert not checkpoints.exists()
        folder.finish({})
    assert not list(checkpoints.parent.glob("*checkpoints*"))


def test_further_leaves_of_a_stage_get_manifests_of_their_own():
    final, best = model_dir(Config(), "rl_final"), model_dir(Config(), "rl_best")
    with stage_folder("rl", final, Config(), reads=["rl_training"], inputs={}, beside=[best]) as folder:
        write_atomic(final / "adapter", "a")
        write_atomic(best / "adapter", "b")
        folder.finish({"reward": 0.5}, leaves=[best], device={"type": "cpu"})
    manifests = [require(path, "rl", "affine rl") for path in (final, best)]
    assert [list(manifest.files) for manifest in manifests] == [["adapter"], ["adapter"]]
    assert manifests[0].fingerprint == manifests[1].fingerprint
    assert manifests[0].digest != manifests[1].digest
    assert manifests[0].device == {"type": "cpu"}


def test_a_second_worker_in_the_same_folder_is_refused_with_the_pid_of_the_first():
    path = data_dir(DEFAULT)
    with stage_folder("collect", path, Config(), reads=["seed"], inputs={}):
        second = run_python(
            "from pathlib import Path; from affine_trainer.config import Config\n"
            "from affine_trainer.artifacts import stage_folder\n"
            "with stage_folder('collect', Path('data/default'), Config(), reads=['seed'], inputs={}): pass"
        )
    assert second.returncode != 0
    assert f"Another process (pid {os.getpid()}) is working in data/default" in second.stderr


def test_a_killed_worker_leaves_no_lock_and_its_work_resumes():
    path = data_dir(DEFAULT)
    killed = run_python(
        "import os, signal; from pathlib import Path; from affine_trainer.config import Config\n"
        "from affine_trainer.artifacts import append_jsonl, stage_folder\n"
        "path = Path('data/default')\n"
        "with stage_folder('collect', path, Config(), reads=['seed'], inputs={}):\n"
        "    append_jsonl(path / 'rows.jsonl', {'row': 1})\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert killed.returncode == -signal.SIGKILL
    with stage_folder("collect", path, Config(), reads=["seed"], inputs={}) as folder:
        assert folder.resuming
        assert list(read_jsonl(path / "rows.jsonl")) == [{"row": 1}]


class Killed(BaseException):
    """Stands for a kill: nothing of the program runs after it."""


@contextmanager
def killed_before_change(number: int):
    """Die before the file system's change of this number; a deletion of a folder dies half-way."""
    count = 0

    def wrap(change):
        def wrapped(*args, **kwargs):
            nonlocal count
            count += 1
            if count < number:
                return change(*args, **kwargs)
            if count == number and change.__name__ == "rmtree":
                files = [entry for entry in Path(args[0]).rglob("*") if entry.is_file()]
                for entry in sorted(files)[-1:]:
                    os.unlink(entry)
            raise Killed

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in [(Path, "rename"), (Path, "mkdir"), (shutil, "rmtree"), (os, "replace")]:
            patch.setattr(owner, name, wrap(getattr(owner, name)))
        yield


def redo(seed: int, content: str, *, force: bool = False, finish: bool = True) -> tuple[str, str]:
    """A stage that writes a checkpoint beside its folder, then its result; returns what is there then."""
    path, checkpoint = model_dir(DEFAULT, "sft_final"), model_dir(DEFAULT, "sft_checkpoints") / "step-1"
    with stage_folder(
        "sft", path, Config(seed=seed), reads=["seed"], inputs={}, beside=[checkpoint.parent], force=force
    ) as folder:
        if not folder.complete:
            write_atomic(checkpoint, content)
            write_atomic(path / "weights", content)
            if finish:
                folder.finish({})
    return checkpoint.read_text(), (path / "weights").read_text()


def kill_redo(number: int, **options) -> bool:
    """Whether the redo was killed; it is not when it makes fewer changes."""
    try:
        with killed_before_change(number):
            redo(**options)
    except Killed:
        return True
    return False


@pytest.mark.parametrize("second_kill", [None, 1, 2, 4])
def test_a_kill_at_any_moment_of_a_forced_redo_leaves_the_old_or_the_new_result_whole(second_kill):
    path = model_dir(DEFAULT, "sft_final")
    for number in range(1, 60):
        shutil.rmtree("models", ignore_errors=True)
        redo(seed=0, content="old")
        killed = kill_redo(number, seed=1, content="new", force=True)
        manifest = read_manifest(path)
        seed, expected = (1, "new") if manifest is not None and manifest.seed == 1 else (0, "old")
        if second_kill is not None:
            kill_redo(second_kill, seed=seed, content="again")
        assert redo(seed=seed, content="again") == (expected, expected), f"killed before change {number}"
        hidden = sorted(entry.name for entry in path.parent.glob(".*"))
        assert hidden == [".sft_final.lock"], f"killed before change {number}"
        if not killed:
            return
    pytest.fail("the redo never came to its end")


def test_a_kill_while_a_forced_redo_clears_an_unfinished_one_leaves_nothing_half_deleted_to_resume():
    path, checkpoints = model_dir(DEFAULT, "sft_final"), model_dir(DEFAULT, "sft_checkpoints")
    resumed = 0
    for number in range(1, 60):
        shutil.rmtree("models", ignore_errors=True)
        redo(seed=0, content="old")
        redo(seed=2, content="half", force=True, finish=False)
        if not kill_redo(number, seed=1, content="new", force=True):
            assert resumed, "no kill came before the clearing"
            return
        if not (path / ".started.json").exists() or json.loads((path / ".started.json").read_text())[
            "depends_on"
        ]["config"] != {"seed": 2}:
            continue
        with stage_folder(
            "sft", path, Config(seed=2), reads=["seed"], inputs={}, beside=[checkpoints]
        ) as folder:
            assert folder.resuming
            assert (path / "weights").read_text() == (checkpoints / "step-1").read_text() == "half"
            resumed += 1
    pytest.fail("the redo never came to its end")


def test_the_processes_of_one_launch_share_a_folder_and_only_rank_0_writes():
    """Both ranks are children of one shell, as torchrun's are of its agent."""
    program = (
        "import os; from pathlib import Path; from affine_trainer.config import Config\n"
        "from affine_trainer.artifacts import stage_folder\n"
        "with stage_folder('sft', Path('models/x'), Config(), reads=['seed'], inputs={}) as folder:\n"
        "    print(os.environ['RANK'], folder.complete, folder.resuming)\n"
        "    Path('models/x/weights').write_text('w')\n"
        "    folder.finish({})\n"
    )
    Path("program.py").write_text(program)
    launch = f"RANK=1 {sys.executable} program.py & sleep 1; RANK=0 {sys.executable} program.py; wait"
    done = subprocess.run(
        ["bash", "-c", launch], capture_output=True, text=True, env=environment(), timeout=60
    )
    assert sorted(done.stdout.splitlines()) == ["0 False False", "1 False False"], done.stderr
    assert list(require(Path("models/x"), "sft", "affine sft").files) == ["weights"]
    done = subprocess.run(
        ["bash", "-c", launch], capture_output=True, text=True, env=environment(), timeout=60
    )
    assert sorted(done.stdout.splitlines()) == ["0 True False", "1 True False"], done.stderr


def test_a_missing_stage_is_named_with_the_command_to_run():
    with pytest.raises(StageError, match="data/default is not there yet: run `affine collect` first"):
        require(Path("data/default"), "collect", "affine collect")
    with stage_folder("collect", Path("data/default"), Config(), reads=["seed"], inputs={}):
        pass
    with pytest.raises(StageError, match="data/default is unfinished: run `affine collect` first"):
        require(Path("data/default"), "collect", "affine collect")


def test_an_input_that_is_missing_or_unfinished_is_refused():
    with pytest.raises(StageError, match="data/default does not exist"), sft():
        pass
    with stage_folder("collect", data_dir(DEFAULT), Config(), reads=["seed"], inputs={}):
        pass
    with pytest.raises(StageError, match="data/default is unfinished"), sft():
        pass
    assert not Path("models").exists()


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_of_another_stage_is_left_alone_even_with_force(force):
    path = collect()
    with (
        pytest.raises(StageError, match="data/default belongs to stage `collect`, not `sft`"),
        stage_folder("sft", path, Config(), reads=["seed"], inputs={}, force=force),
    ):
        pass
    with pytest.raises(StageError, match="belongs to stage `collect`"):
        require(path, "sft", "affine sft")
    collect()


@pytest.mark.parametrize("force", [False, True])
def test_a_persons_own_folder_is_left_alone_even_with_force(force):
    write_atomic(Path("data/default/thesis.txt"), "years of work")
    with pytest.raises(StageError, match="holds files that no stage wrote"):
        collect(force=force)
    assert Path("data/default/thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stage": "collect"}', "null", "\x00\x01"])
def test_a_broken_manifest_is_refused_and_can_be_forced_over(content):
    path = collect()
    (path / "manifest.json").write_text(content)
    for attempt in (collect, lambda: require(path, "collect", "affine collect")):
        with pytest.raises(StageError, match=r"manifest\.json is broken.*--force"):
            attempt()
    collect(force=True)
    assert require(path, "collect", "affine collect").metrics == {"samples": 3}


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda file: file.unlink(), "is missing"),
        (lambda file: file.write_text("longer than before"), "has another size"),
        (lambda file: file.write_text("atad"), "has other contents"),
    ],
)
def test_a_finished_folder_whose_files_changed_is_refused(damage, problem):
    path = collect()
    damage(path / "train.jsonl")
    for attempt in (collect, lambda: require(path, "collect", "affine collect")):
        with pytest.raises(StageError, match=f"train.jsonl {problem}"):
            attempt()


def test_a_folder_that_cannot_be_created_is_a_sentence():
    Path("data").write_text("a file in the way")
    with pytest.raises(StageError, match="data/default cannot be created"):
        collect()


def test_the_git_state_is_recorded_and_may_be_absent():
    assert read_manifest(collect()).git_commit is None
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *command], check=True)
    manifest = read_manifest(collect(Config(run="other")))
    assert len(manifest.git_commit or "") == 40 and manifest.git_dirty is False
    write_atomic(Path("tracked"), "new")
    subprocess.run(["git", "add", "tracked"], check=True)
    assert read_manifest(collect(Config(run="third"))).git_dirty is True


def test_metrics_without_a_number_become_null_in_the_manifest():
    path = data_dir(DEFAULT)
    with stage_folder("collect", path, Config(), reads=["seed"], inputs={}) as folder:
        folder.finish({"loss": float("nan"), "list": [float("inf"), 1.0]})
    assert json.loads((path / "manifest.json").read_text())["metrics"] == {"loss": None, "list": [None, 1.0]}


def test_a_full_disk_is_a_sentence_that_names_the_file():
    with pytest.raises(StageError, match="The disk is full: could not write /dev/full"):
        append_jsonl(Path("/dev/full"), {"row": 1})


def test_a_line_that_fits_only_in_part_is_taken_back():
    done = run_python(
        "import resource; from pathlib import Path; from affine_trainer.artifacts import append_jsonl\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "for row in range(9): append_jsonl(Path('rows.jsonl'), {'row': row, 'text': 'x' * 20})"
    )
    assert "The disk is full: could not write rows.jsonl" in done.stderr
    assert [row["row"] for row in read_jsonl(Path("rows.jsonl"))] == [0, 1]


def test_a_full_disk_inside_a_stage_is_a_sentence_and_the_work_resumes():
    path = data_dir(DEFAULT)
    with (
        pytest.raises(StageError, match="The disk is full: could not write data/default"),
        stage_folder("collect", path, Config(), reads=["seed"], inputs={}),
        Path("/dev/full").open("w") as file,
    ):
        append_jsonl(path / "rows.jsonl", {"row": 1})
        file.write("x")
    with stage_folder("collect", path, Config(), reads=["seed"], inputs={}) as folder:
        assert folder.resuming


def test_a_write_that_fails_leaves_the_old_file_and_no_temporary_one():
    write_jsonl(Path("rows.jsonl"), [{"row": 1}])

    def rows():
        yield {"row": 2}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_jsonl(Path("rows.jsonl"), rows())
    assert list(read_jsonl(Path("rows.jsonl"))) == [{"row": 1}]
    assert os.listdir() == ["rows.jsonl"]


def test_every_mistake_in_a_data_file_is_named_with_its_line():
    path = Path("rows.jsonl")
    good = '{"prompt": "a", "completion": "b"}\n'
    for bad, message in [
        ('{"prompt": \n', r"rows\.jsonl, line 2: not valid JSON"),
        ("[1]\n", r"rows\.jsonl, line 2: expected a JSON object, got list"),
        ('{"prompt": "a"}\n', r"rows\.jsonl, line 2: the row lacks completion"),
    ]:
        path.write_text(good + bad)
        with pytest.raises(DataError, match=message):
            list(read_jsonl(path, fields=("prompt", "completion")))
    path.write_bytes(good.encode() + b'{"a": "\xff"}\n')
    with pytest.raises(DataError, match="line 2: not UTF-8 text"):
        list(read_jsonl(path))


def test_missing_and_empty_data_files_are_refused():
    with pytest.raises(DataError, match=r"rows\.jsonl does not exist"):
        read_jsonl(Path("rows.jsonl"))
    with pytest.raises(DataError, match="is not a file"):
        read_jsonl(Path())
    for content in ("", "\n  \n"):
        Path("rows.jsonl").write_text(content)
        with pytest.raises(DataError, match=r"rows\.jsonl is empty"):
            list(read_jsonl(Path("rows.jsonl")))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.text(), json_values, max_size=4), min_size=1, max_size=5))
def test_rows_are_read_back_as_they_were_written(rows):
    path = Path("rows.jsonl")
    assert write_jsonl(path, rows) == len(rows)
    append_jsonl(path, rows[0])
    assert list(read_jsonl(path)) == [*rows, rows[0]]


def test_a_lone_surrogate_is_written_and_read_back():
    append_jsonl(Path("rows.jsonl"), {"text": "half a pair \ud83d"})
    assert list(read_jsonl(Path("rows.jsonl"))) == [{"text": "half a pair \ud83d"}]


def test_a_file_cut_anywhere_keeps_every_whole_row():
    rows = [{"row": number, "text": "ä" * number} for number in range(4)]
    path = Path("rows.jsonl")
    write_jsonl(path, rows)
    whole = path.read_bytes()
    ends = [position + 1 for position, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        repair_jsonl(path)
        kept = sum(end - 1 <= cut for end in ends)  # a row that lacks its newline alone is whole
        assert path.read_bytes() == whole[: ends[kept - 1] if kept else 0]


def test_a_line_of_zero_bytes_as_after_a_power_cut_is_dropped():
    path = Path("rows.jsonl")
    path.write_bytes(b'{"row": 1}\n' + b"\x00" * 3_000_000)
    assert repair_jsonl(path) == 3_000_000
    assert list(read_jsonl(path)) == [{"row": 1}]


def test_repairing_a_missing_file_does_nothing():
    assert repair_jsonl(Path("rows.jsonl")) == 0


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), timeout=60
    )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
