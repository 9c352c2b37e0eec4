"""The command line as a person meets it: help, errors as sentences, exit codes, what it leaves unimported."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from affine_trainer import __version__
from affine_trainer.artifacts import data_dir, log_dir, stage_folder
from affine_trainer.cli import app
from affine_trainer.cli.group import AffineGroup, draw_panel, os_error_sentence
from affine_trainer.cli.options import read_config, read_config_of
from affine_trainer.errors import AffineError, StageError

ROOT = Path(__file__).parents[1]
STEPS = ["collect", "sft", "rl", "eval", "compare"]
MORE = [
    "run",
    "status",
    "report",
    "plan",
    "experiment",
    "diagnose",
    "config",
    "doctor",
    "task",
    "grade",
    "play",
]
MORE += ["audit", "export", "preflight"]


@pytest.fixture
def affine(tmp_path, monkeypatch):
    """Calls `affine ARGUMENTS` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AFFINE_DEBUG", raising=False)

    def call(*arguments: str, stdin: str | None = None):
        return CliRunner().invoke(app, arguments, input=stdin)

    return call


def python(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


def test_help_shows_the_five_steps_in_order_in_a_panel_of_their_own(affine):
    lines = affine("--help").stdout.splitlines()
    titles = [line.strip("╭─╮ ") for line in lines if line.startswith("╭")]
    assert titles == ["The five steps", "All at once, and looking around", "Options"]
    rows = [line.strip("│ ").split()[:2] for line in lines if line.startswith("│")]
    assert [tuple(row) for row in rows[:5]] == [(name, f"({n})") for n, name in enumerate(STEPS, start=1)]
    assert [row[0] for row in rows[5 : 6 + len(MORE)]] == [*MORE, "sandbox"]


def test_help_fits_its_width(affine):
    for width in (60, 80, 200):
        shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": str(width)}).stdout
        assert max(map(len, shown.splitlines())) == min(width, 100)


@pytest.mark.parametrize("command", STEPS + MORE)
def test_every_command_takes_a_config_and_overrides(affine, command):
    result = affine(command, "--help")
    assert result.exit_code == 0
    assert "--set" in result.stdout
    assert ("--config" in result.stdout) == (command != "experiment")  # its FILE names one
    assert ("--force" in result.stdout) == (command in [*STEPS, "run", "experiment"])


def test_help_and_completion_import_no_model_library_and_no_rich():
    program = (
        "import sys; from affine_trainer.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: print(sorted(m for m in sys.modules if '.' not in m))"
    )
    done = python("-c", program)
    assert done.returncode == 0, done.stderr
    loaded = set(eval(done.stdout.splitlines()[-1]))
    assert "typer" in loaded
    assert not loaded & {
        "torch",
        "transformers",
        "trl",
        "peft",
        "datasets",
        "pydantic",
        "scipy",
        "numpy",
        "rich",
    }


def test_no_command_module_imports_torch_before_its_stage_runs():
    program = (
        "import sys\n"
        "import affine_trainer.cli.all_steps\n"
        "from affine_trainer.stages import doctor, grade\n"
        "print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = python("-c", program)
    assert done.stdout.strip() == "False False", done.stderr


def test_the_version_is_printed(affine):
    assert affine("--version").stdout.strip() == f"affine {__version__}"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_can_be_shown_and_completes_commands(shell):
    call = "from affine_trainer.cli import main; main()"
    shown = python("-c", call, "--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_AFFINE_COMPLETE" in shown.stdout and "affine" in shown.stdout
    completed = python("-c", call, _AFFINE_COMPLETE="complete_bash", COMP_WORDS="affine co", COMP_CWORD="1")
    assert completed.stdout.split() == ["collect", "compare", "config"]


def test_config_prints_the_resolved_file_and_says_where_it_came_from(affine):
    result = affine("config", "--set", "training.num_epochs=7")
    assert result.exit_code == 0
    assert "num_epochs: 7" in result.stdout
    assert "embedded default" in result.stderr
    Path("config.yaml").write_text("run: mine\n")
    result = affine("config")
    assert "run: mine" in result.stdout and "embedded default" not in result.stderr


def test_what_config_prints_is_a_config(affine):
    Path("printed.yaml").write_text(affine("config", "-s", "seed=5").stdout)
    assert affine("config", "-c", "printed.yaml").stdout == Path("printed.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("config", "--config", "nowhere.yaml"), "nowhere.yaml"),
        (("config", "--set", "training.lerning_rate=1"), "learning_rate"),
        (("sft", "--set", "training.num_epochs=0"), "training.num_epochs"),
        (("sft",), "affine collect"),
        (("rl",), "affine collect"),
        (("task", "affine:sat"), "not a task key"),
        (("task", "affine:chess/1"), "affine:sat"),
        (("eval", "--model", "./nowhere"), "nowhere"),
        (("compare",), "affine eval"),
    ],
)
def test_what_a_person_can_get_wrong_ends_in_a_sentence_and_code_2(affine, arguments, words):
    result = affine(*arguments)
    assert result.exit_code == 2
    sentence = result.stderr.splitlines()
    assert any(line.startswith("affine: ") for line in sentence)
    assert words in result.stderr
    assert "Traceback" not in result.stderr + result.stdout


def test_debugging_shows_the_traceback(affine, monkeypatch):
    monkeypatch.setenv("AFFINE_DEBUG", "1")
    assert isinstance(affine("sft").exception, StageError)


def failing_app(error: BaseException) -> typer.Typer:
    app = typer.Typer(cls=AffineGroup, pretty_exceptions_enable=False)

    @app.command()
    def fails() -> None:
        raise error

    @app.command()
    def other() -> None: ...

    return app


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "stopped; run the same command to go on"),
        (OSError(errno.ENOSPC, "No space left on device", "models/x"), 1, "the disk is full (models/x)"),
        (PermissionError(errno.EACCES, "Permission denied", "data"), 1, "Permission denied (data)"),
    ],
)
def test_interruptions_and_a_full_disk_are_sentences_too(error, code, words):
    result = CliRunner().invoke(failing_app(error), ["fails"])
    assert (result.exit_code, words in result.stderr) == (code, True)
    assert "Traceback" not in result.stderr


def test_a_mistake_of_ours_is_not_hidden():
    assert isinstance(
        CliRunner().invoke(failing_app(ZeroDivisionError()), ["fails"]).exception, ZeroDivisionError
    )


def test_an_error_without_a_number_is_told_in_its_first_line():
    assert os_error_sentence(OSError("first line\nsecond line")).startswith("first line;")


def test_a_panel_wraps_long_texts_under_their_own_column():
    lines = draw_panel("T", [("name", "word " * 20)], 40)
    assert {len(line) for line in lines} == {40}
    assert lines[2].startswith("│       word")


def test_a_task_is_printed_and_its_reply_graded(affine):
    prompt = affine("task", "affine:sat@validator/17", "--rules", "affine-2025-11").stdout
    assert "x15" in prompt and "∧" in prompt
    result = affine("grade", "affine:sat@validator/17", "--rules", "affine-2025-11", stdin="UNSAT\n")
    graded = json.loads(result.stdout)
    assert graded["task"] == "affine:sat@validator/17"
    assert graded["rules"] == "affine-2025-11"
    assert (graded["reward"], graded["success"]) == (0.0, False)
    assert graded["why"]


def test_a_program_that_prints_the_answer_is_graded_in_the_sandbox(affine):
    reply = "```python\nprint('certainly not this')\n```"
    result = affine("grade", "affine:ded@generated-v1/3", stdin=reply)
    assert result.exit_code == 0, result.stderr
    graded = json.loads(result.stdout)
    assert graded["success"] is False and "case" in graded["why"]


def test_a_reply_that_is_not_text_is_graded_all_the_same():
    call = "from affine_trainer.cli import main; main(['grade', 'affine:sat@small/3'])"
    done = subprocess.run(
        [sys.executable, "-c", call],
        input=b"\xff\xfe x1=True",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["success"] is False


@pytest.mark.parametrize(
    ("script", "command"),
    zip(["1_collect_data", "2_train_sft", "3_train_rl", "4_evaluate", "5_compare"], STEPS, strict=True),
)
def test_each_numbered_script_is_its_command(script, command):
    done = python(str(ROOT / "scripts" / f"{script}.py"), "--help", COLUMNS="100")
    assert f"Usage: affine {command}" in done.stdout, done.stderr


def test_the_short_flags_stand_for_keys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = read_config(None, ["seed=3"], run="7", rules="affine-2025-09", unsandboxed=True)
    assert (config.seed, config.run) == (3, "7")
    assert (config.evaluation.rules, config.sandbox.allow_unsandboxed) == ("affine-2025-09", True)
    assert not read_config(None, None).sandbox.allow_unsandboxed


OF_A_RUN = [
    *STEPS, "run", "status", "report", "plan", "diagnose", "config", "audit", "export", "preflight"
]  # fmt: skip


@pytest.mark.parametrize("command", OF_A_RUN)
def test_every_command_about_a_run_takes_its_name(affine, command):
    assert "--run" in affine(command, "--help").stdout


def test_a_run_that_is_named_comes_with_the_config_it_was_made_with(affine):
    def begin(run: str, *changes: str) -> None:
        config = read_config(None, [f"run={run}", *changes])
        with stage_folder("collect", data_dir(config), config, reads=("seed",), inputs={}) as folder:
            folder.finish({})

    begin("mine", "seed=5", "data.num_samples=77")
    config = read_config_of("mine", None, None)
    assert (config.run, config.seed, config.data.num_samples) == ("mine", 5, 77)
    assert read_config_of("mine", None, ["seed=6"]).data.num_samples == 77
    assert read_config_of("mine", None, ["seed=6"]).seed == 6
    Path("config.yaml").write_text("seed: 9\n")
    assert read_config_of("mine", None, None).seed == 5
    assert read_config_of("mine", Path("config.yaml"), None).seed == 9
    assert read_config_of("mine", Path("config.yaml"), None).run == "mine"
    assert read_config_of(None, None, None).seed == 9
    shown = affine("config", "--run", "mine").stdout
    assert "num_samples: 77" in shown and "run: mine" in shown
    with pytest.raises(AffineError, match="no run 'yours' here"):
        read_config_of("yours", None, None)
    for name in ("../mine", "", "a b"):
        for read in (read_config, lambda *_, run: read_config_of(run, None, None)):
            with pytest.raises(AffineError, match=r"--run is .* begins with a letter or a digit"):
                read(None, None, run=name)
    with pytest.raises(AffineError, match="--run and --set run= both name the run"):
        read_config(None, ["run=yours"], run="mine")
    for command in (["sft"], ["status"], ["report"], ["audit"], ["compare"]):
        assert "--run is ''" in affine(*command, "--run", "").stderr
    assert "named twice" in affine("status", "mine", "--run", "mine").stderr
    for arguments in (["nobody"], ["--run", "nobody"]):
        assert "there is no run 'nobody' here" in affine("status", *arguments).stderr
    config = read_config(None, None, run="others")
    with stage_folder("eval", log_dir(config, "eval", "some-model"), config, reads=("seed",), inputs={}):
        pass  # a run may hold evaluations of other models alone, as of two from the hub
    assert read_config_of("others", None, None).run == "others"
    assert "run `affine collect --run others` first" in affine("sft", "--run", "others").stderr
    wrong = affine("plan", "--run", "mine", "--set", "seed=no")
    assert wrong.exit_code == 2 and "--set" in wrong.stderr


def sandbox_run(affine, text: str, *arguments: str, stdin: str | None = None) -> dict:
    Path("program.py").write_text(text, encoding="utf-8")
    result = affine("sandbox", "run", "program.py", *arguments, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_sandbox_run_prints_what_a_program_did(affine):
    Path("input").write_text("é\n")
    run = sandbox_run(affine, "import sys; print(input()); sys.exit(3)", "--stdin", "input")
    assert list(run) == [
        *("verdict", "exit_code", "stdout", "stderr", "stdout_truncated", "stderr_truncated"),
        *("cpu_seconds", "wall_seconds", "peak_rss_bytes", "isolation"),
    ]
    assert (run["verdict"], run["exit_code"], run["stdout"]) == ("error", 3, "é\n")
    assert not run["stdout_truncated"] and run["peak_rss_bytes"] > 1 << 20


def test_sandbox_run_takes_bytes_and_prints_ascii(affine):
    Path("program.py").write_bytes(b"# -*- coding: latin-1 -*-\nprint('\xe9', open(0, 'rb').read())\n")
    result = affine("sandbox", "run", "program.py", "--stdin", "-", stdin="\x1b[2J")
    assert json.loads(result.stdout)["stdout"] == "é b'\\x1b[2J'\n"
    assert sandbox_run(affine, "import os; os.write(1, b'\\x9b\\xff')")["stdout"] == "\ufffd\ufffd"
    shown = affine("sandbox", "run", "program.py", "--stdin", "program.py").stdout
    assert shown.isascii() and "\x1b" not in shown


def test_sandbox_run_keeps_to_the_limits_it_is_given(affine):
    busy, asleep = "while True: pass", "import time; time.sleep(1000)"
    assert sandbox_run(affine, busy, "--cpu", "0.1")["verdict"] == "cpu_timeout"
    assert sandbox_run(affine, asleep, "--wall", "0.2")["verdict"] == "wall_timeout"
    assert sandbox_run(affine, "x = bytearray(1 << 27)", "--memory", "64")["verdict"] == "memory"
    run = sandbox_run(affine, "print('x' * 2_000_000)")
    assert (run["verdict"], run["stdout_truncated"], len(run["stdout"])) == ("output_limit", True, 1_000_000)


def test_sandbox_check_prints_level_layers_and_probes(affine):
    result = affine("sandbox", "check", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0 and found["level"] in ("strong", "standard", "basic")
    assert set(found["layers"]) == {"seccomp", "landlock", "chroot", "spare_uid", "namespaces"}
    assert len(found["probes"]) >= 8
    shown = affine("sandbox", "check").stdout
    assert found["level"] in shown.splitlines()[0]
    assert all(probe in shown for probe in found["probes"])


@pytest.mark.parametrize("level", ["standard", "basic"])
def test_a_lower_level_can_be_asked_for(affine, level):
    shown = affine("sandbox", "check", "--level", level)
    assert shown.exit_code == 0 and f"{level} (asked for {level} at most)" in shown.stdout
    assert sandbox_run(affine, "print(1)", "--level", level)["isolation"] == level


def test_without_isolation_nothing_runs_unless_it_is_asked_for_and_then_with_a_warning(affine, caplog):
    check = affine("sandbox", "check", "--level", "none")
    assert check.exit_code == 2 and check.stdout.startswith("isolation level   none")
    assert "cannot be isolated" in check.stderr
    Path("program.py").write_text("open('made', 'w')")
    refused = affine("sandbox", "run", "program.py", "--level", "none")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--allow-unsandboxed" in refused.stderr
    for _ in range(2):
        caplog.clear()
        run = sandbox_run(affine, "print(1)", "--level", "none", "--allow-unsandboxed")
        assert (run["stdout"], run["isolation"]) == ("1\n", "none")
        assert "WITHOUT isolation" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "nowhere.py"), "nowhere.py cannot be read: No such file"),
        (("run", "."), "cannot be read: Is a directory"),
        (("run", "-", "--stdin", "nowhere"), "nowhere cannot be read"),
        (("run", "-", "--stdin", "-"), "only one"),
        (("run", "-", "--cpu", "0"), "cpu_seconds is 0.0"),
        (("run", "-", "--wall", "nan"), "wall_seconds is nan"),
        (("run", "-", "--memory", "-5"), "memory_mib is -5"),
        (("run", "-", "--memory", "99999999999999999999"), "at most 1000000000"),
        (("run", "-", "--level", "perfect"), "'perfect'; give one of strong, standard, basic, none"),
        (("check", "--level", "STRONG"), "'STRONG'"),
    ],
)
def test_what_can_be_wrong_about_a_sandbox_command_is_a_sentence(affine, arguments, words):
    result = affine("sandbox", *arguments, stdin="print(1)")
    assert result.exit_code == 2
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith("affine: ") and words in sentence
