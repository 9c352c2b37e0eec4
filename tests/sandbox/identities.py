"""Becomes each kind of user that a trainer runs as, and tries the corpus as that user: one JSON on stdout.

`python -m tests.sandbox.identities docker basic all`, as root; the interpreter and these files must be open
to every user. `docker` emulates what Docker gives root by default: its capabilities, its system call filter.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

from affine_trainer.sandbox import Level, layers_for, libc, probes, seccomp
from affine_trainer.sandbox.host import Worker, WorkerDied
from affine_trainer.sandbox.seccomp import Instruction
from affine_trainer.sandbox.syscalls import X86_64, architecture
from tests.sandbox.corpus import BENIGN, HOSTILE
from tests.sandbox.trap import set_trap
from tests.sandbox.trial import NOT_GREEDY, attack, complaint, difference

ORDINARY_USER = 54321
THREAD_BOMB = next(program for program in HOSTILE if program.name == "thread bomb by hand")
QUICK_STEP = 7  # of the programs that are not greedy, one in so many

# chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod
# audit_write setfcap
DOCKER_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
IDENTITIES = {
    # name: the capabilities kept (None: all), whether Docker's filter is on, whether the user is root
    "root": (None, False, True),
    "root-without-capabilities": ((), False, True),
    "docker": (DOCKER_CAPABILITIES, True, True),
    "docker-without-landlock": (DOCKER_CAPABILITIES, True, True),
    "docker-user": (DOCKER_CAPABILITIES, True, False),
    "user": (None, False, False),
}
PR_CAPBSET_DROP = 24

# What Docker's default filter refuses a root that has these capabilities.
DOCKER_REFUSES = """
    acct add_key bpf clock_settime create_module delete_module fanotify_init finit_module fsconfig fsmount
    fsopen fspick get_mempolicy init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp
    kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages mount mount_setattr move_mount
    move_pages nfsservctl open_by_handle_at open_tree perf_event_open personality pidfd_getfd pivot_root
    process_madvise query_module quotactl quotactl_fd reboot request_key set_mempolicy
    set_mempolicy_home_node setdomainname sethostname setns settimeofday swapoff swapon sysfs syslog umount2
    unshare uselib userfaultfd ustat vhangup
"""
LANDLOCK = {"landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446}
NEW_NAMESPACE_FLAGS = 0x7E020000
X86_64_ONLY_HERE = {
    **{"clock_settime": 227, "create_module": 174, "fanotify_init": 300, "fsconfig": 431, "fspick": 433},
    **{"get_mempolicy": 239, "lookup_dcookie": 212, "mbind": 237, "migrate_pages": 256, "move_pages": 279},
    **{"nfsservctl": 180, "process_madvise": 440, "query_module": 178, "quotactl": 179, "quotactl_fd": 443},
    **{"set_mempolicy": 238, "set_mempolicy_home_node": 450, "setdomainname": 171, "sethostname": 170},
    **{"settimeofday": 164, "sysfs": 139, "syslog": 103, "uselib": 134, "ustat": 136, "vhangup": 153},
}


def become(identity: str) -> None:
    """Turn this process, which must be root's, into that kind of user for good. Raises KeyError, OSError."""
    kept, has_docker_filter, is_root = IDENTITIES[identity]
    if kept is not None:
        for capability in set(range(_num_capabilities())) - set(kept):
            libc.prctl(PR_CAPBSET_DROP, capability)
    if has_docker_filter:
        _install(_docker_filter(without_landlock=identity.endswith("without-landlock")))
    if not is_root:
        os.setgroups([])
        os.setresgid(*[ORDINARY_USER] * 3)
        os.setresuid(*[ORDINARY_USER] * 3)
    elif kept is not None:
        _keep_capabilities(sum(1 << capability for capability in kept))


def _num_capabilities() -> int:
    return int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1


def _keep_capabilities(mask: int) -> None:
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = (ctypes.c_uint32 * 2)(libc.CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)  # effective, permitted, inheritable; twice
    if ctypes.CDLL(None, use_errno=True).capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")


def _docker_filter(*, without_landlock: bool) -> list[Instruction]:
    machine = architecture(os.uname().machine)
    assert machine is not None
    numbers = machine.numbers | (X86_64_ONLY_HERE if machine.numbers is X86_64 else {}) | LANDLOCK
    refused = [*DOCKER_REFUSES.split(), *(LANDLOCK if without_landlock else ())]
    refuse = Instruction(seccomp.RETURN, 0, 0, 0x00050000 | errno.EPERM)
    not_there = Instruction(seccomp.RETURN, 0, 0, 0x00050000 | errno.ENOSYS)
    allow = Instruction(seccomp.RETURN, 0, 0, seccomp.ALLOW)
    program = [Instruction(seccomp.LOAD, 0, 0, seccomp.NUMBER_OFFSET)]
    for name in refused:
        if name in numbers:
            program += [Instruction(seccomp.JUMP_IF_EQUAL, 0, 1, numbers[name]), refuse]
    program += [Instruction(seccomp.JUMP_IF_EQUAL, 0, 1, numbers["clone3"]), not_there]
    program += [
        Instruction(seccomp.JUMP_IF_EQUAL, 0, 3, numbers["clone"]),
        Instruction(seccomp.LOAD, 0, 0, seccomp.ARGUMENTS_OFFSET),
        Instruction(seccomp.JUMP_IF_ANY_BIT, 0, 1, NEW_NAMESPACE_FLAGS),
        refuse,
    ]
    return [*program, allow]


def refuse_filters() -> None:
    """Make this process one of a machine that lets nobody put on a filter."""
    prctl = {"x86_64": 157, "aarch64": 167}[os.uname().machine]
    _install(
        [
            Instruction(seccomp.LOAD, 0, 0, seccomp.NUMBER_OFFSET),
            Instruction(seccomp.JUMP_IF_EQUAL, 0, 3, prctl),
            Instruction(seccomp.LOAD, 0, 0, seccomp.ARGUMENTS_OFFSET),
            Instruction(seccomp.JUMP_IF_EQUAL, 0, 1, libc.PR_SET_SECCOMP),
            Instruction(seccomp.RETURN, 0, 0, 0x00050000 | errno.EPERM),
            Instruction(seccomp.RETURN, 0, 0, seccomp.ALLOW),
        ]
    )


def _install(program: list[Instruction]) -> None:
    """Needs CAP_SYS_ADMIN, so that no_new_privs stays off, as it is in Docker."""
    packed = b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
    memory = ctypes.create_string_buffer(packed)
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(memory))
    pointer = ctypes.create_string_buffer(header)
    libc.prctl(libc.PR_SET_SECCOMP, libc.SECCOMP_MODE_FILTER, ctypes.addressof(pointer))


def try_corpus(wanted: Level, *, everything: bool) -> dict[str, Any]:
    """What the corpus does at `wanted` or below; all is well without `complaints` and `differences`."""
    hostile = HOSTILE if everything else NOT_GREEDY[::QUICK_STEP]
    benign = BENIGN if everything else BENIGN[::QUICK_STEP]
    complaints: dict[str, str | None] = {}
    differences: dict[str, str | None] = {}
    threads = ""
    worker = Worker(layers_for(wanted))
    found = probes.level(probes.probe(worker))
    with set_trap() as trap, tempfile.TemporaryDirectory() as folder:
        try:
            for program in hostile:
                complaints[program.name] = complaint(worker, trap, program)
            for program in benign:
                differences[program.name] = difference(worker, program, Path(folder))
            threads = attack(worker, trap, THREAD_BOMB).stdout
        except WorkerDied as error:
            complaints[f"after {len(complaints)} hostile and {len(differences)} benign"] = str(error)
    worker.close()
    return {
        "level": found,
        "num_hostile": len(hostile),
        "complaints": {name: text for name, text in complaints.items() if text},
        "num_benign": len(benign),
        "differences": {name: text for name, text in differences.items() if text},
        "capabilities": _status("CapEff"),
        "uid": os.getuid(),
        "threads": int(threads or 0),
    }


def _status(key: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(key))


def main() -> None:
    identity, wanted, extent = sys.argv[1:]
    become(identity)
    wanted_level: Level = next(level for level in ("strong", "standard", "basic") if level == wanted)
    print(json.dumps(try_corpus(wanted_level, everything=extent == "all")))


if __name__ == "__main__":
    main()
