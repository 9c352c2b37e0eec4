"""How well a worker isolates: decided by attacks it must withstand now, not by what the kernel promises."""

from __future__ import annotations

import json

from affine_trainer.sandbox.host import Worker, WorkerDied
from affine_trainer.sandbox.protocol import Layers
from affine_trainer.sandbox.verdicts import Level, Limits, ProgramRun

PROBE_LIMITS = Limits(cpu_seconds=5.0, wall_seconds=30.0, memory_mib=128, output_bytes=10_000)

# Each attack must be refused with a permission error. Its line in the answer says whether it was.
ATTACKS_TO_REFUSE = """
import json, mmap, os, posix, signal, socket

def start_process():
    if os.fork() == 0:
        os._exit(0)

def executable_memory():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)

attacks = {
    "start a process": start_process,
    "run another program": lambda: os.execv("/bin/true", ["true"]),
    "open a file": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "look up a file": lambda: posix.stat("/"),
    "create a file": lambda: os.open("/tmp/affine-probe", os.O_WRONLY | os.O_CREAT),
    "delete a file": lambda: os.unlink("/tmp/affine-probe"),
    "open a socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "signal another process": lambda: os.kill(os.getppid(), 0),
    "map executable memory": executable_memory,
    "raise its priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, -1),
}
answers = {}
for name, attack in attacks.items():
    try:
        attack()
    except PermissionError:
        answers[name] = True
    except Exception:
        answers[name] = False
    else:
        answers[name] = False
print(json.dumps(answers))
"""

# A call that only an attack makes must end the program.
TRACING = "trace a process"
ATTACK_TO_KILL = """
import ctypes
ctypes.CDLL(None).ptrace(0, 0, 0, 0)
"""


def probe(worker: Worker) -> dict[str, bool]:
    """Attack from inside the worker; what was tried, and whether it was contained.

    Raises WorkerDied, also where the worker starts no program.
    """
    refused = worker.run(ATTACKS_TO_REFUSE.encode(), b"", PROBE_LIMITS)
    if refused.verdict == "sandbox_error":
        raise WorkerDied(refused.stderr or "the sandbox process started no program")
    killed = worker.run(ATTACK_TO_KILL.encode(), b"", PROBE_LIMITS)
    return {
        **_answers(refused),
        TRACING: killed.verdict == "violation",
        "reach the file system": worker.hello.files_closed,
        "reach the trainer": worker.hello.identity_closed,
    }


def _answers(run: ProgramRun) -> dict[str, bool]:
    if run.verdict != "ok" or not run.stdout:
        return {"answer the probes": False}
    return json.loads(run.stdout)


def level(found: dict[str, bool]) -> Level:
    """The isolation level that the probes' findings amount to.

    The filter must hold in every respect; the file system and the trainer's process are closed a second time
    by other layers (Landlock or an empty root; another user or namespaces).
    """
    outer = ("reach the file system", "reach the trainer")
    if not all(contained for name, contained in found.items() if name not in outer):
        return "none"
    if not found[outer[0]]:
        return "basic"
    return "strong" if found[outer[1]] else "standard"


def weakness(found: dict[str, bool]) -> str:
    """In words, the attacks that probes did not find contained."""
    return (
        f"it does not withstand: {', '.join(attack for attack, contained in found.items() if not contained)}"
    )


def layers_for(wanted: Level) -> Layers:
    """The layers that reach `wanted` at most: all for `strong`, no system call filter for `none`."""
    return {
        "strong": Layers(),
        "standard": Layers(spare_uid=False, namespaces=False),
        "basic": Layers(landlock=False, chroot=False, spare_uid=False, namespaces=False),
        "none": Layers(seccomp=False),
    }[wanted]
