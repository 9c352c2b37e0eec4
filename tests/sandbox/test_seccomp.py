"""The filter, run by a small interpreter of BPF: what each system call gets, on both architectures."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from affine_trainer.sandbox import seccomp
from affine_trainer.sandbox.seccomp import ALLOW, KILL_PROCESS, PID_PLACEHOLDER, Instruction
from affine_trainer.sandbox.syscalls import ARCHITECTURES

EPERM = 0x00050000 | errno.EPERM
EACCES = 0x00050000 | errno.EACCES
ENOSYS = 0x00050000 | errno.ENOSYS


def _run(program: list[Instruction], number: int, audit_value: int, arguments: tuple[int, ...]) -> int:
    """The filter's answer to one system call."""
    words = [number, audit_value, 0, 0]
    for argument in (*arguments, 0, 0, 0, 0, 0, 0)[:6]:
        words += [argument & 0xFFFFFFFF, argument >> 32 & 0xFFFFFFFF]
    position = accumulator = 0
    while True:
        code, if_true, if_false, value = program[position]
        position += 1
        if code == seccomp.LOAD:
            accumulator = words[value // 4]
        elif code == seccomp.RETURN:
            return value
        elif code == seccomp.AND:
            accumulator &= value
        else:
            holds = {
                seccomp.JUMP_IF_EQUAL: accumulator == value,
                seccomp.JUMP_IF_AT_LEAST: accumulator >= value,
                seccomp.JUMP_IF_ANY_BIT: accumulator & value != 0,
            }[code]
            position += if_true if holds else if_false


@pytest.fixture(params=sorted(ARCHITECTURES))
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


def _answer(machine: str, name: str, *arguments: int) -> int:
    architecture = ARCHITECTURES[machine]
    program = seccomp.assemble(architecture)
    return _run(program, architecture.numbers[name], architecture.audit_value, arguments)


def test_every_call_that_the_rules_name_is_in_a_table() -> None:
    known = {name for architecture in ARCHITECTURES.values() for name in architecture.numbers}
    assert set(seccomp.rules()) == known


def test_the_program_is_one_that_the_kernel_takes(machine: str) -> None:
    program = seccomp.assemble(ARCHITECTURES[machine])
    assert len(program) <= 4096
    for position, instruction in enumerate(program):
        if instruction.code not in (seccomp.RETURN, seccomp.LOAD, seccomp.AND):
            target = position + 1 + max(instruction.if_true, instruction.if_false)
            assert max(instruction.if_true, instruction.if_false) < 256 and target < len(program)
    assert program[-1].code == seccomp.RETURN


def test_unnamed_calls_are_refused(machine: str) -> None:
    architecture = ARCHITECTURES[machine]
    program = seccomp.assemble(architecture)
    unnamed = set(range(600)) - set(architecture.numbers.values())
    assert {_run(program, number, architecture.audit_value, ()) for number in unnamed} == {EPERM}


def test_another_architecture_and_the_x32_table_end_the_program(machine: str) -> None:
    program = seccomp.assemble(ARCHITECTURES[machine])
    assert _run(program, 0, 0x40000003, ()) == KILL_PROCESS
    assert _run(program, 0x40000000 | 1, ARCHITECTURES[machine].audit_value, ()) == KILL_PROCESS


def test_files_are_out_of_reach_and_attacks_end_the_program(machine: str) -> None:
    for name in ("openat", "newfstatat", "faccessat", "readlinkat", "getcwd", "getdents64"):
        assert _answer(machine, name) == EACCES
    for name in ("ptrace", "mount", "bpf", "io_uring_setup", "unshare", "process_vm_writev"):
        assert _answer(machine, name) == KILL_PROCESS
    assert _answer(machine, "clone3") == _answer(machine, "statx") == ENOSYS


def test_memory_may_not_be_executable(machine: str) -> None:
    for name in ("mmap", "mprotect"):
        assert [_answer(machine, name, 0, 4096, protection) for protection in range(8)] == [ALLOW] * 4 + [
            EPERM
        ] * 4


def test_threads_may_be_made_and_processes_may_not(machine: str) -> None:
    assert _answer(machine, "clone", 0x3D0F00) == ALLOW
    for flags in (17, 0x4111, 0x3D0F00 & ~0x10000, 0x3D0F00 | 0x10000000, 0):
        assert _answer(machine, "clone", flags) == EPERM


def test_signals_go_to_oneself_only_and_sigkill_to_nobody(machine: str) -> None:
    assert _answer(machine, "kill", PID_PLACEHOLDER, 15) == ALLOW
    assert _answer(machine, "tgkill", PID_PLACEHOLDER, 7, 6) == ALLOW
    for pid, number in ((PID_PLACEHOLDER, 9), (1, 15), (0, 15), (2**32 - 1, 9), (PID_PLACEHOLDER - 1, 0)):
        assert _answer(machine, "kill", pid, number) == EPERM
    assert _answer(machine, "tgkill", PID_PLACEHOLDER, 7, 9) == EPERM
    assert _answer(machine, "tgkill", 1, 1, 15) == EPERM


def test_sockets_have_no_address_in_either_half_of_the_pointer(machine: str) -> None:
    assert _answer(machine, "sendto", 3, 0x1000, 1, 0, 0) == ALLOW
    for address in (0x1000, 1 << 32, (1 << 32) | 0x1000):
        assert _answer(machine, "sendto", 3, 0x1000, 1, 0, address) == EPERM
    assert _answer(machine, "socketpair", 1) == ALLOW
    assert _answer(machine, "socketpair", 2) == EPERM


def test_limits_of_oneself_may_be_set_but_for_cpu_time_whose_end_is_a_kill(machine: str) -> None:
    assert _answer(machine, "prlimit64", 0, 3, 0x1000, 0) == ALLOW
    assert _answer(machine, "setrlimit", 3, 0x1000) == ALLOW
    assert _answer(machine, "prlimit64", 0, 0, 0, 0x1000) == ALLOW  # reads it
    for new in (0x1000, 1 << 32):
        assert _answer(machine, "prlimit64", 0, 0, new, 0) == EPERM
    assert _answer(machine, "setrlimit", 0, 0x1000) == EPERM
    assert _answer(machine, "prlimit64", 1, 3, 0, 0x1000) == EPERM


def test_clocks_and_processors_of_other_processes_are_not_told(machine: str) -> None:
    for call in ("clock_gettime", "clock_getres", "clock_nanosleep"):
        assert [_answer(machine, call, clock) for clock in (0, 1, 2, 3, 7)] == [ALLOW] * 5
        assert _answer(machine, call, (~4242 << 3) | 2) == 0x00050000 | errno.EINVAL
    assert _answer(machine, "sched_getaffinity", 0) == _answer(machine, "sched_getaffinity", PID_PLACEHOLDER)
    assert _answer(machine, "sched_getaffinity", 1) == EPERM


def test_data_out_of_band_is_refused(machine: str) -> None:
    for call in ("sendto", "recvfrom"):
        assert _answer(machine, call, 3, 0x1000, 1, 0x4000) == ALLOW
        assert _answer(machine, call, 3, 0x1000, 1, 1) == 0x00050000 | errno.EOPNOTSUPP


def test_only_harmless_variants_of_other_calls_are_allowed(machine: str) -> None:
    assert _answer(machine, "prlimit64", 0) == ALLOW
    assert _answer(machine, "prlimit64", 1) == EPERM
    assert _answer(machine, "fcntl", 1, 3) == ALLOW
    assert _answer(machine, "fcntl", 1, 1031) == EPERM  # F_SETPIPE_SZ
    assert _answer(machine, "futex", 0, 0x189) == ALLOW  # FUTEX_WAIT_BITSET, private, by the real-time clock
    assert _answer(machine, "futex", 0, 6) == ENOSYS  # FUTEX_LOCK_PI
    assert _answer(machine, "ioctl", 0, 0x5401) == ALLOW
    assert _answer(machine, "ioctl", 0, 0x5412) != ALLOW  # TIOCSTI


def _numbers_of(path: Path) -> dict[str, int]:
    """The kernel's table; the generic header gives some names by way of another."""
    text = path.read_text()
    numbers = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", text, re.M)
    table = {name: int(number) for name, number in numbers}
    aliases = re.findall(r"^#define __NR_(\w+)\s+__NR3264_(\w+)", text, re.M)
    return table | {name: table[other] for name, other in aliases if other in table}


@pytest.mark.parametrize(
    ("machine", "header"),
    [
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        ("aarch64", "/usr/include/asm-generic/unistd.h"),  # aarch64 uses the generic table
    ],
)
def test_the_numbers_are_those_of_the_kernel(machine: str, header: str) -> None:
    if not Path(header).exists():
        pytest.skip("the kernel's headers are not installed")
    kernel = _numbers_of(Path(header))
    known = {name: kernel[name] for name in ARCHITECTURES[machine].numbers if name in kernel}
    assert known == ARCHITECTURES[machine].numbers
