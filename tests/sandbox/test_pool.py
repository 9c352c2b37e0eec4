"""The sandbox as its callers see it: order, threads, verdicts, dying workers, and what is left behind."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from affine_trainer.errors import AffineError
from affine_trainer.sandbox import Layers, Limits, ProgramRun, Sandbox, isolation_level
from tests.sandbox.processes import children, until

SLEEP = "import time\ntime.sleep(1.0)\nprint('slept')"
PACKAGE_FOLDER = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as sandbox:
        yield sandbox


def test_results_keep_the_order_of_the_jobs(sandbox: Sandbox) -> None:
    jobs = [("import time\ntime.sleep((7 - int(input())) / 50)\nprint(1)", str(i)) for i in range(4)]
    jobs += [("print(int(input()) ** 2)", f"{i}\n") for i in range(8)]
    assert [run.stdout for run in sandbox.run_many(jobs)][4:] == [f"{i * i}\n" for i in range(8)]


def test_no_jobs_give_no_results(sandbox: Sandbox) -> None:
    assert sandbox.run_many([]) == []


def test_threads_get_their_own_answers(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(8) as threads:
        runs = list(threads.map(lambda i: sandbox.run("print(input() * 2)", f"{i:04d}"), range(64)))
    assert [run.stdout for run in runs] == [f"{i:04d}" * 2 + "\n" for i in range(64)]


def test_a_run_tells_what_it_used(sandbox: Sandbox) -> None:
    run = sandbox.run("x = bytearray(50_000_000)\nprint(sum(range(3_000_000)))", "")
    assert run.verdict == "ok" and run.isolation in ("strong", "standard", "basic")
    assert 0.01 < run.cpu_seconds <= run.wall_seconds * (os.cpu_count() or 1)
    assert run.peak_rss_bytes > 50_000_000


def test_output_up_to_the_limit_is_kept_and_one_byte_more_is_not(sandbox: Sandbox) -> None:
    limits = Limits(output_bytes=1000)
    assert sandbox.run("print('x' * 1000, end='')", "", limits).verdict == "ok"
    run = sandbox.run("print('x' * 1001, end='')", "", limits)
    assert (run.verdict, len(run.stdout), run.stdout_truncated) == ("output_limit", 1000, True)
    run = sandbox.run("import sys\nsys.stderr.write('x' * 1001)", "", limits)
    assert (run.verdict, len(run.stderr), run.stderr_truncated) == ("output_limit", 1000, True)


def test_output_that_is_no_text_has_replacement_characters(sandbox: Sandbox) -> None:
    assert sandbox.run("import os\nos.write(1, bytes([65, 255, 66]))", "").stdout == "A\ufffdB"


def test_input_of_megabytes_arrives(sandbox: Sandbox) -> None:
    text = "0123456789" * 500_000
    run = sandbox.run("import hashlib, sys\nprint(len(sys.stdin.read()))", text)
    assert run.stdout == f"{len(text)}\n"


def test_sets_of_strings_have_the_same_order_in_every_run(sandbox: Sandbox) -> None:
    program = "print({str(i) for i in range(50)})"
    assert len({run.stdout for run in sandbox.run_many([(program, "")] * 4)}) == 1


def test_the_random_generator_differs_from_run_to_run(sandbox: Sandbox) -> None:
    runs = sandbox.run_many([("import random\nprint(random.random())", "")] * 6)
    assert len({run.stdout for run in runs}) == 6


def test_cpu_time_is_bounded_by_the_limit_of_the_run(sandbox: Sandbox) -> None:
    run = sandbox.run("while True:\n    pass", "", Limits(cpu_seconds=0.3, wall_seconds=100))
    assert (run.verdict, run.exit_code) == ("cpu_timeout", -signal.SIGKILL)
    assert 0.3 <= run.cpu_seconds < 0.35


def test_a_program_that_the_kernel_stops_for_its_cpu_time_is_one_that_used_it(sandbox: Sandbox) -> None:
    program = "import os, signal\nos.kill(os.getpid(), signal.SIGXCPU)"
    assert sandbox.run(program, "").verdict == "cpu_timeout"


def test_a_sleeper_is_stopped_at_the_wall_limit(sandbox: Sandbox) -> None:
    run = sandbox.run("import time\ntime.sleep(50)", "", Limits(wall_seconds=0.3))
    assert run.verdict == "wall_timeout" and run.wall_seconds < 10


def test_a_program_cannot_make_itself_a_sandbox_error(sandbox: Sandbox) -> None:
    for program in (
        "import os\nos._exit(97)",
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
        "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (0, 0))",
    ):
        assert sandbox.run(program, "").verdict == "error"


SCAN = """
import ctypes, os
libc = ctypes.CDLL(None)
libc.sbrk.restype = ctypes.c_void_p
reader, writer = os.pipe()
next_letters = bytes((i + 1) % 256 for i in range(256))  # so that the search does not find itself
shifted = b'NBSLFS.pg.kpc'
places = id(object()), id(libc), libc.sbrk(0), ctypes.addressof(ctypes.c_int()), id(type(libc))
found = pages = 0
for block in {place >> 26 for place in places}:
    for page in range((block - 1) << 14, (block + 1) << 14):
        if libc.write(writer, ctypes.c_void_p(page << 12), 4096) == 4096:
            pages += 1
            found += shifted in os.read(reader, 4096).translate(next_letters)
print(pages > 500, found > 0)
"""


def test_what_one_program_read_is_not_in_the_memory_of_the_next() -> None:
    """Every mapped page around the heap and the objects is written to a pipe: unmapped ones give EFAULT."""
    program = "text = input()\nkept = [text * 3] * 9\n# MARKER-of-job\n"
    with Sandbox(workers=1) as sandbox:
        assert sandbox.run(program + SCAN, "MARKER-of-job\n").stdout == "True True\n"
        assert sandbox.run(SCAN, "").stdout == "True False\n"


def test_one_program_cannot_change_the_library_of_the_next() -> None:
    poison = """
import ctypes, sys
library = sys.meta_path[-1]
image = library._image
address = ctypes.c_void_p()
entry = library._entries['colorsys']
buffer = (ctypes.c_char * len(image))
view = ctypes.pythonapi.PyMemoryView_FromObject
view.restype, view.argtypes = ctypes.py_object, [ctypes.py_object]
class Buffer(ctypes.Structure):
    _fields_ = [('buf', ctypes.c_void_p), ('rest', ctypes.c_char * 200)]
b = Buffer()
assert ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(image), ctypes.byref(b), 0) == 0
page = (b.buf + entry.start) & ~4095
print(ctypes.CDLL(None).mprotect(ctypes.c_void_p(page), 8192, 3))
ctypes.memset(b.buf + entry.start, 0, 64)
"""
    with Sandbox(workers=1) as sandbox:
        sandbox.run(poison, "")
        run = sandbox.run("import colorsys\nprint(colorsys.rgb_to_hsv(1, 0, 0))", "")
        assert run.stdout == "(0.0, 1.0, 1)\n" or run.stdout == "(0.0, 1.0, 1.0)\n", run


def test_a_worker_that_is_killed_during_a_run_is_replaced_and_the_run_repeated() -> None:
    with Sandbox(workers=1) as sandbox, ThreadPoolExecutor(1) as threads:
        sandbox.run("", "")
        (pid,) = sandbox.worker_pids
        run = threads.submit(sandbox.run, SLEEP, "")
        time.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        assert run.result().stdout == "slept\n"
        assert sandbox.worker_pids != [pid]


def test_a_program_killed_from_outside_is_run_again() -> None:
    with Sandbox(workers=1) as sandbox, ThreadPoolExecutor(1) as threads:
        sandbox.run("", "")
        idle = set(children(os.getpid()))
        run = threads.submit(sandbox.run, SLEEP, "")
        until(lambda: set(children(os.getpid())) - idle)
        time.sleep(0.3)
        os.kill((set(children(os.getpid())) - idle).pop(), signal.SIGKILL)
        assert run.result().stdout == "slept\n"


def test_a_run_whose_workers_all_die_is_a_sandbox_error_and_not_a_wrong_answer() -> None:
    with Sandbox(workers=1) as sandbox:
        sandbox.run("", "")
        runs: list[ProgramRun] = []
        thread = threading.Thread(target=lambda: runs.append(sandbox.run("import time\ntime.sleep(20)", "")))
        thread.start()
        killed: set[int] = set()
        while thread.is_alive():
            time.sleep(0.5)
            for pid in set(sandbox.worker_pids) - killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        assert [run.verdict for run in runs] == ["sandbox_error"] and len(killed) == 2
        assert "sandbox process" in runs[0].stderr
        assert sandbox.run("print(1)", "").stdout == "1\n"


def test_closing_leaves_no_process_and_no_descriptor() -> None:
    processes, descriptors = set(children(os.getpid())), len(os.listdir("/proc/self/fd"))
    sandbox = Sandbox(workers=2)
    sandbox.run_many([("print(1)", "")] * 4)
    assert set(children(os.getpid())) != processes
    sandbox.close()
    sandbox.close()
    assert set(children(os.getpid())) == processes
    assert len(os.listdir("/proc/self/fd")) == descriptors
    with pytest.raises(AffineError, match="closed"):
        sandbox.run("", "")


def test_closing_ends_a_run_that_is_under_way() -> None:
    sandbox = Sandbox(workers=1)
    sandbox.run("", "")
    with ThreadPoolExecutor(1) as threads:
        run = threads.submit(sandbox.run, "import time\ntime.sleep(1000)", "", Limits(wall_seconds=2000))
        time.sleep(0.3)
        sandbox.close()
        with pytest.raises(AffineError, match="closed"):
            run.result(timeout=60)


def test_nothing_outlives_a_trainer_that_is_killed() -> None:
    trainer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from affine_trainer.sandbox import Limits, Sandbox\n"
            "sandbox = Sandbox(workers=2)\nsandbox.run('', '')\nprint('ready', flush=True)\n"
            "sandbox.run('import time; time.sleep(1000)', '', Limits(wall_seconds=2000))\n",
        ],
        cwd=PACKAGE_FOLDER,
        stdout=subprocess.PIPE,
    )
    assert trainer.stdout is not None and trainer.stdout.readline() == b"ready\n"
    time.sleep(0.3)
    processes = children(trainer.pid)
    assert processes
    trainer.kill()
    trainer.communicate()
    until(lambda: not any(Path(f"/proc/{pid}/exe").is_symlink() and _is_alive(pid) for pid in processes))


def _is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_trainer_with_thousands_of_open_files_can_start_workers() -> None:
    script = (
        "import os, resource\nfrom affine_trainer.sandbox import Sandbox\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "held = [os.open('/dev/null', os.O_RDONLY) for _ in range(2000)]\n"
        "with Sandbox(workers=1) as sandbox:\n    print(sandbox.run('print(1 + 1)', '').stdout, end='')\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=PACKAGE_FOLDER, capture_output=True, text=True)
    assert ran.stdout == "2\n", ran.stderr


def test_a_forked_process_may_not_use_or_close_the_sandbox(sandbox: Sandbox) -> None:
    sandbox.run("", "")
    child = os.fork()
    if child == 0:
        sandbox.close()
        try:
            sandbox.run("", "")
        except AffineError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sandbox.run("print(3)", "").stdout == "3\n"


def test_a_machine_that_cannot_isolate_is_refused_in_words() -> None:
    with Sandbox(layers=Layers(seccomp=False)) as sandbox, pytest.raises(AffineError, match="unsandboxed"):
        sandbox.run("print(1)", "")


def test_unsandboxed_runs_are_allowed_on_request_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING),
        Sandbox(layers=Layers(seccomp=False), allow_unsandboxed=True) as sandbox,
    ):
        run = sandbox.run("print(input())", "x\n")
        assert (run.verdict, run.stdout, run.isolation, sandbox.isolation) == ("ok", "x\n", "none", "none")
        assert sandbox.run("while True: pass", "", Limits(cpu_seconds=1)).verdict == "cpu_timeout"
        assert sandbox.run("1 / 0", "").verdict == "error"
    assert "WITHOUT isolation" in caplog.text


def test_the_level_is_that_of_the_layers() -> None:
    expected = {
        Layers(landlock=False, chroot=False, spare_uid=False, namespaces=False): "basic",
        Layers(spare_uid=False, namespaces=False): "standard",
    }
    for layers, level in expected.items():
        with Sandbox(workers=1, layers=layers) as sandbox:
            assert sandbox.isolation == level
    assert isolation_level() in ("strong", "standard")


@pytest.mark.parametrize("limits", [{"cpu_seconds": 0}, {"memory_mib": -1}, {"wall_seconds": float("nan")}])
def test_a_limit_that_makes_no_sense_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(AffineError, match=next(iter(limits))):
        Limits(**limits)  # pyright: ignore[reportArgumentType]


def test_a_sandbox_without_workers_is_refused() -> None:
    with pytest.raises(AffineError, match="at least 1"):
        Sandbox(workers=0)
