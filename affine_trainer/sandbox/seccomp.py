"""The system call filter: an allow-list written as a classic BPF program, with no library."""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import NamedTuple

from affine_trainer.sandbox import libc
from affine_trainer.sandbox.syscalls import Architecture

LOAD = 0x20
JUMP_IF_EQUAL = 0x15
JUMP_IF_AT_LEAST = 0x35
JUMP_IF_ANY_BIT = 0x45
AND = 0x54
RETURN = 0x06

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000

NUMBER_OFFSET = 0  # struct seccomp_data: int nr, u32 arch, u64 ip, u64 args[6]
ARCHITECTURE_OFFSET = 4
ARGUMENTS_OFFSET = 16
X32_BIT = 0x40000000

PID_PLACEHOLDER = 0x7FFFFFFE  # above any pid; replaced in each child by its own
SIGKILL = 9
PROT_EXEC = 4
AF_UNIX = 1
MSG_OOB = 1
RLIMIT_CPU = 0

# CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM|SETTLS|PARENT_SETTID|CHILD_CLEARTID; musl adds CLONE_DETACHED.
THREAD_FLAGS = (0x3D0F00, 0x7D0F00)
# TCGETS, FIONCLEX, FIOCLEX, TIOCGWINSZ, FIONREAD, FIONBIO
HARMLESS_IOCTLS = (0x5401, 0x5450, 0x5451, 0x5413, 0x541B, 0x5421)
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC
HARMLESS_FCNTLS = (0, 1, 2, 3, 4, 1030)
# FUTEX_WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP, WAIT_BITSET, WAKE_BITSET, whatever the flags in upper bits
HARMLESS_FUTEXES = (0, 1, 3, 4, 5, 9, 10)
FUTEX_OPERATION = 0x7F
# MADV_NORMAL, RANDOM, SEQUENTIAL, WILLNEED, DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE, DONTDUMP, DODUMP
HARMLESS_MADVICE = (0, 1, 2, 3, 4, 8, 14, 15, 16, 17)
# CLOCK_REALTIME, MONOTONIC, PROCESS_CPUTIME_ID, THREAD_CPUTIME_ID, MONOTONIC_RAW, two COARSE, BOOTTIME, TAI;
# a clock made of a pid tells of any process whether it is there and how much it works
HARMLESS_CLOCKS = (0, 1, 2, 3, 4, 5, 6, 7, 11)

ALLOWED = """
    read write munmap brk mremap rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack
    lseek close fstat pread64 pwrite64 readv writev nanosleep gettimeofday time times getrusage sched_yield
    getrandom getpid gettid getppid getuid geteuid getgid getegid exit exit_group restart_syscall
    set_robust_list rseq uname sysinfo getrlimit
    getitimer setitimer alarm pause dup dup2 dup3 pipe pipe2 poll ppoll select pselect6
    epoll_create1 epoll_ctl epoll_wait epoll_pwait getsockname shutdown
"""

CLOCK_CALLS = "clock_gettime clock_getres clock_nanosleep"

# newfstatat with AT_EMPTY_PATH is how newer C libraries spell fstat, but the path is out of the filter's
# sight, and with it the metadata of every file would be readable.
FILE_LOOKUPS = """
    open openat stat lstat newfstatat access faccessat faccessat2 readlink readlinkat getcwd getdents64
"""

# The C library falls back to clone and fstat; the arguments of these cannot be seen by a filter.
UNKNOWN = "clone3 statx"

ATTACKS = """
    ptrace process_vm_readv process_vm_writev bpf userfaultfd perf_event_open kcmp pidfd_getfd
    io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key
    init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct
    mount umount2 pivot_root chroot setns unshare fsopen fsmount move_mount open_tree mount_setattr
    open_by_handle_at personality modify_ldt iopl ioperm
"""


class Instruction(NamedTuple):
    """struct sock_filter: jumps count the instructions to skip."""

    code: int
    if_true: int
    if_false: int
    value: int


def _return(action: int) -> Instruction:
    return Instruction(RETURN, 0, 0, action)


def _refuse(number: int) -> int:
    return 0x00050000 | number


def _load(offset: int) -> Instruction:
    return Instruction(LOAD, 0, 0, offset)


def _low_half(argument: int) -> Instruction:
    return _load(ARGUMENTS_OFFSET + 8 * argument)


def _high_half(argument: int) -> Instruction:
    return _load(ARGUMENTS_OFFSET + 8 * argument + 4)


def _argument_in(argument: int, values: tuple[int, ...], otherwise: int) -> list[Instruction]:
    """Allow a few values of a 32-bit argument."""
    tests = [Instruction(JUMP_IF_EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
    return [_low_half(argument), *tests, _return(_refuse(otherwise)), _return(ALLOW)]


def _operation_in(argument: int, mask: int, values: tuple[int, ...], otherwise: int) -> list[Instruction]:
    """Allow a few values of an argument's bits under `mask`."""
    load, *rest = _argument_in(argument, values, otherwise)
    return [load, Instruction(AND, 0, 0, mask), *rest]


def _argument_is_null(argument: int, otherwise: int) -> list[Instruction]:
    """Allow a null pointer only: both halves are looked at, since memory may lie at 0x100000000."""
    return [
        _low_half(argument),
        Instruction(JUMP_IF_EQUAL, 0, 2, 0),
        _high_half(argument),
        Instruction(JUMP_IF_EQUAL, 1, 0, 0),
        _return(_refuse(otherwise)),
        _return(ALLOW),
    ]


def _no_executable_memory() -> list[Instruction]:
    """mmap and mprotect, whose third argument is the protection."""
    return [
        _low_half(2),
        Instruction(JUMP_IF_ANY_BIT, 0, 1, PROT_EXEC),
        _return(_refuse(errno.EPERM)),
        _return(ALLOW),
    ]


def _signal_to_self(signal_argument: int) -> list[Instruction]:
    """Any signal to oneself but SIGKILL, so that a death by SIGKILL always came from outside."""
    return [
        _low_half(0),
        Instruction(JUMP_IF_EQUAL, 0, 2, PID_PLACEHOLDER),
        _low_half(signal_argument),
        Instruction(JUMP_IF_EQUAL, 0, 1, SIGKILL),
        _return(_refuse(errno.EPERM)),
        _return(ALLOW),
    ]


def _limit_on_anything_but_cpu_time() -> list[Instruction]:
    """setrlimit: the kernel sends SIGKILL where CPU time ends, and that is always to come from outside."""
    return [
        _low_half(0),
        Instruction(JUMP_IF_EQUAL, 0, 1, RLIMIT_CPU),
        _return(_refuse(errno.EPERM)),
        _return(ALLOW),
    ]


def _own_limits() -> list[Instruction]:
    """prlimit64: any limit of oneself may be read, and set but for that on CPU time."""
    return [
        _low_half(0),
        Instruction(JUMP_IF_EQUAL, 1, 0, 0),
        _return(_refuse(errno.EPERM)),
        _low_half(1),
        Instruction(JUMP_IF_EQUAL, 1, 0, RLIMIT_CPU),
        _return(ALLOW),
        *_argument_is_null(2, errno.EPERM),
    ]


def _to_the_other_end() -> list[Instruction]:
    """Only the two ends of a pair exist: an address would reach for another socket.

    Data out of band is a source of kernel bugs that no program has use for.
    """
    return [
        _low_half(3),
        Instruction(JUMP_IF_ANY_BIT, 0, 1, MSG_OOB),
        _return(_refuse(errno.EOPNOTSUPP)),
        *_argument_is_null(4, errno.EPERM),
    ]


def _conditional() -> dict[str, list[Instruction]]:
    """The system calls that are allowed with some arguments only."""
    return {
        "mmap": _no_executable_memory(),
        "mprotect": _no_executable_memory(),
        # The others take locks with priorities, a rich source of kernel bugs that Python has no use for.
        "futex": _operation_in(1, FUTEX_OPERATION, HARMLESS_FUTEXES, errno.ENOSYS),
        "madvise": _argument_in(1, HARMLESS_MADVICE, errno.EINVAL),
        "ioctl": _argument_in(1, HARMLESS_IOCTLS, errno.ENOTTY),
        "fcntl": _argument_in(1, HARMLESS_FCNTLS, errno.EPERM),
        "prlimit64": _own_limits(),
        "setrlimit": _limit_on_anything_but_cpu_time(),
        **{name: _argument_in(0, HARMLESS_CLOCKS, errno.EINVAL) for name in CLOCK_CALLS.split()},
        "sched_getaffinity": _argument_in(0, (0, PID_PLACEHOLDER), errno.EPERM),
        "clone": _argument_in(0, THREAD_FLAGS, errno.EPERM),
        "kill": _signal_to_self(1),
        "tgkill": _signal_to_self(2),
        "socketpair": _argument_in(0, (AF_UNIX,), errno.EPERM),
        "sendto": _to_the_other_end(),
        "recvfrom": _to_the_other_end(),
    }


def rules() -> dict[str, list[Instruction]]:
    """What happens on each named system call, most frequent first; all others are refused with EPERM."""
    allowed = {name: [_return(ALLOW)] for name in ALLOWED.split()}
    lookups = {name: [_return(_refuse(errno.EACCES))] for name in FILE_LOOKUPS.split()}
    unknown = {name: [_return(_refuse(errno.ENOSYS))] for name in UNKNOWN.split()}
    attacks = {name: [_return(KILL_PROCESS)] for name in ATTACKS.split()}
    return {**allowed, **_conditional(), **lookups, **unknown, **attacks}


def assemble(architecture: Architecture) -> list[Instruction]:
    """The whole program for one architecture."""
    program = [
        _load(ARCHITECTURE_OFFSET),
        Instruction(JUMP_IF_EQUAL, 1, 0, architecture.audit_value),
        _return(KILL_PROCESS),
        _load(NUMBER_OFFSET),
        Instruction(JUMP_IF_AT_LEAST, 0, 1, X32_BIT),
        _return(KILL_PROCESS),
    ]
    for name, body in rules().items():
        number = architecture.numbers.get(name)
        if number is not None:  # aarch64 has no open, stat, poll, ...
            program += [Instruction(JUMP_IF_EQUAL, 0, len(body), number), *body]
    return [*program, _return(_refuse(errno.EPERM))]


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


class Filter:
    """The program in memory, ready to be made a child's own and installed."""

    _instruction = struct.Struct("<HBBI")

    def __init__(self, architecture: Architecture) -> None:
        program = assemble(architecture)
        self._memory = ctypes.create_string_buffer(b"".join(self._instruction.pack(*i) for i in program))
        self._program = _Program(len(program), ctypes.addressof(self._memory))
        self._pid_offsets = [
            8 * position + 4 for position, i in enumerate(program) if i.value == PID_PLACEHOLDER
        ]

    def install(self, pid: int) -> None:
        """Confine this process, which is `pid`, for good. Needs no_new_privs. Raises OSError."""
        for offset in self._pid_offsets:
            struct.pack_into("<I", self._memory, offset, pid)
        libc.prctl(libc.PR_SET_SECCOMP, libc.SECCOMP_MODE_FILTER, ctypes.addressof(self._program))
