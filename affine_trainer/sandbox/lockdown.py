"""What a zygote gives up, once, before it serves: namespaces, files, identity, capabilities, resources."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from typing import NoReturn

from affine_trainer.sandbox import landlock, libc
from affine_trainer.sandbox.protocol import Layers

NAMESPACES = {
    "network": 0x40000000,
    "ipc": 0x08000000,
    "hostname": 0x04000000,
    "mounts": 0x00020000,
    "processes": 0x20000000,
}
NEW_USER_NAMESPACE = 0x10000000

CAP_SETUID = 7
CAP_SYS_CHROOT = 18
CAP_SYS_ADMIN = 21

# A uid of its own for each zygote, far above any that a system gives out; where only 16-bit ones are mapped
# (rootless containers), one from the range that systemd keeps for transient users.
SPARE_UIDS = 0x70000000
SPARE_UIDS_16_BIT = 61184
NUM_SPARE_UIDS_16_BIT = 4096

WRITABLE_FOLDERS = ("/tmp", "/dev/shm", "/var/tmp")
MAX_OPEN_FILES = 64
STACK_BYTES = 64 << 20
MOST_TASKS = 1 << 22  # the kernel's own bound
LAST_TO_SURVIVE = b"1000"  # the out-of-memory killer's first choice


def has_capability(number: int) -> bool:
    """Whether this process may use a capability now."""
    with open("/proc/self/status") as status:
        effective = next(line for line in status if line.startswith("CapEff"))
    return bool(int(effective.split()[1], 16) >> number & 1)


def volunteer_for_the_out_of_memory_killer() -> None:
    """Programs, not the trainer, are to be killed when memory runs out."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb", buffering=0) as score:
        score.write(LAST_TO_SURVIVE)


def tasks_on_the_machine() -> int:
    """How many processes and threads there are, of all users; the most there can be where nothing tells."""
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/loadavg") as load:
        return int(load.read().split()[3].split("/")[1])
    return MOST_TASKS


def enter_namespaces() -> tuple[str, ...]:
    """Leave what can be left of the machine; returns the names of the new namespaces.

    With a process namespace the caller goes on as its first process, in a fork; the original stays outside
    to carry the exit status.
    """
    entered = []
    if not has_capability(CAP_SYS_ADMIN) and not has_capability(CAP_SETUID) and _enter_user_namespace():
        entered.append("users")
    for name, flag in NAMESPACES.items():
        try:
            libc.unshare(flag)
        except OSError:
            continue
        entered.append(name)
    if "processes" in entered:
        _continue_as_first_process()
    return tuple(entered)


def _enter_user_namespace() -> bool:
    uid, gid = os.geteuid(), os.getegid()
    try:
        libc.unshare(NEW_USER_NAMESPACE)
    except OSError:
        return False
    maps = {"setgroups": "deny", "uid_map": f"{uid} {uid} 1", "gid_map": f"{gid} {gid} 1"}
    for file, text in maps.items():
        # Without a map (root without its capabilities may not write one) the process is nobody: as good.
        with contextlib.suppress(OSError), open(f"/proc/self/{file}", "w") as writable:
            writable.write(text)
    return True


def _continue_as_first_process() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    child = os.fork()
    if child:
        _stand_by(child)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _stand_by(child: int) -> NoReturn:
    """Outside the process namespace: wait for its end, and end it when the trainer is gone."""
    os.closerange(0, 1024)
    trainer = os.getppid()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)  # as a shell tells of a signal
        if os.getppid() != trainer:
            os.kill(child, signal.SIGKILL)
        signal.sigtimedwait({signal.SIGCHLD}, 1.0)


def die_with_parent() -> None:
    """Inside a process namespace: end, and with it every child, when the process outside ends."""
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)


def enter_empty_root() -> bool:
    """Make a deleted folder the root: nothing is in it, and nothing can be created in it."""
    name = f"affine-empty-{os.urandom(8).hex()}"
    for folder in (f"{base}/{name}" for base in WRITABLE_FOLDERS if has_capability(CAP_SYS_CHROOT)):
        try:
            os.mkdir(folder, 0o700)
            os.chdir(folder)
            os.rmdir(folder)
            os.chroot(".")
        except OSError:
            continue
        return True
    os.chdir("/")
    return False


def become_spare_user(process: int) -> bool:
    """Change from root to a uid that owns nothing; False where this process may not."""
    if os.geteuid() != 0:
        return False
    with contextlib.suppress(OSError):
        os.setgroups([])
    for uid in (SPARE_UIDS + process, SPARE_UIDS_16_BIT + process % NUM_SPARE_UIDS_16_BIT):
        try:
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        except OSError:
            continue
        return True
    return False


def limit(kind: int, value: int) -> None:
    """Set both limits of a resource to `value`, or to the hard limit where that is lower already."""
    lowest = _at_most(value, resource.getrlimit(kind)[1])
    resource.setrlimit(kind, (lowest, lowest))


def _at_most(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def _deepen_the_stack() -> None:
    """Programs that recurse raise the limit further, and may: the limit on memory holds for the stack too."""
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (_at_most(STACK_BYTES, hard), hard))


def give_up_privileges(layers: Layers, process: int) -> tuple[bool, bool, int]:
    """The steps that cannot be undone, after all files are read.

    Returns whether the root is empty, whether the user is a spare one, and the Landlock version (0: none).

    `process` is the zygote's pid in the trainer's eyes.
    """
    in_empty_root = layers.chroot and enter_empty_root()
    is_spare_user = layers.spare_uid and become_spare_user(process)
    libc.drop_capabilities()
    libc.prctl(libc.PR_SET_DUMPABLE, 0)
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    # After the change of user, which clears it.
    landlock_version = landlock.deny_everything() if layers.landlock else 0
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_MEMLOCK, 0)
    limit(resource.RLIMIT_MSGQUEUE, 0)
    limit(resource.RLIMIT_SIGPENDING, 64)
    limit(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)
    _deepen_the_stack()
    return in_empty_root, is_spare_user, landlock_version


def _cannot_read(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return True
    return False


def _cannot_create(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError:
        return True
    os.unlink(path)
    return False


def files_are_closed(known_file: str) -> bool:
    """Try to read a file that was readable a moment ago, and to create one in the usual places."""
    name = f"affine-probe-{os.getuid()}-{os.getpid()}"
    return (
        _cannot_read(known_file)
        and _cannot_read("/proc/self/status")
        and all(_cannot_create(f"{folder}/{name}") for folder in ("", ".", *WRITABLE_FOLDERS))
    )


def trainer_is_out_of_reach(trainer: int) -> bool:
    """Try to find the trainer's process; it must be another user's, or in another process namespace."""
    try:
        os.kill(trainer, 0)
    except OSError:
        return True
    return False
