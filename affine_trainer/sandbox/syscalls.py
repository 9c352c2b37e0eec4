"""The system calls the filter speaks about, by number, for x86-64 and aarch64."""

from __future__ import annotations

import sys
from typing import NamedTuple


class Architecture(NamedTuple):
    """One machine type: its AUDIT_ARCH_* value, and its system call numbers by name."""

    audit_value: int
    numbers: dict[str, int]


def _numbers(text: str) -> dict[str, int]:
    words = text.split()
    return {name: int(number) for name, number in zip(words[::2], words[1::2], strict=True)}


X86_64 = _numbers(
    """
    access 21  acct 163  add_key 248  alarm 37  bpf 321  brk 12  chroot 161  clock_getres 229
    clock_gettime 228  clock_nanosleep 230  clone 56  clone3 435  close 3  delete_module 176  dup 32
    dup2 33  dup3 292  epoll_create1 291  epoll_ctl 233  epoll_pwait 281  epoll_wait 232  exit 60
    exit_group 231  faccessat 269  faccessat2 439  fcntl 72  finit_module 313  fsmount 432  fsopen 430
    fstat 5  futex 202  getcwd 79  getdents64 217  getegid 108  geteuid 107
    getgid 104  getitimer 36  getpid 39  getppid 110  getrandom 318  getrlimit 97  getrusage 98
    getsockname 51  gettid 186  gettimeofday 96  getuid 102  init_module 175  io_uring_enter 426
    io_uring_register 427  io_uring_setup 425  ioctl 16  ioperm 173  iopl 172  kcmp 312
    kexec_file_load 320  kexec_load 246  keyctl 250  kill 62  lseek 8  lstat 6  madvise 28
    mmap 9  modify_ldt 154  mount 165  mount_setattr 442  move_mount 429  mprotect 10
    mremap 25  munmap 11  nanosleep 35  newfstatat 262  open 2  open_by_handle_at 304  open_tree 428
    openat 257  pause 34  perf_event_open 298  personality 135  pidfd_getfd 438  pipe 22  pipe2 293
    pivot_root 155  poll 7  ppoll 271  pread64 17  prlimit64 302  process_vm_readv 310
    process_vm_writev 311  pselect6 270  ptrace 101  pwrite64 18  read 0  readlink 89  readlinkat 267
    readv 19  reboot 169  recvfrom 45  request_key 249  restart_syscall 219  rseq 334  rt_sigaction 13
    rt_sigprocmask 14  rt_sigreturn 15  sched_getaffinity 204  sched_yield 24  select 23  sendto 44
    set_robust_list 273  setitimer 38  setns 308  setrlimit 160  shutdown 48  sigaltstack 131
    socketpair 53  stat 4  statx 332  swapoff 168  swapon 167  sysinfo 99  tgkill 234  time 201
    times 100  umount2 166  uname 63  unshare 272  userfaultfd 323  write 1  writev 20
    """
)

AARCH64 = _numbers(
    """
    acct 89  add_key 217  bpf 280  brk 214  chroot 51  clock_getres 114  clock_gettime 113
    clock_nanosleep 115  clone 220  clone3 435  close 57  delete_module 106  dup 23  dup3 24
    epoll_create1 20  epoll_ctl 21  epoll_pwait 22  exit 93  exit_group 94  faccessat 48  faccessat2 439
    fcntl 25  finit_module 273  fsmount 432  fsopen 430  fstat 80  futex 98
    getcwd 17  getdents64 61  getegid 177  geteuid 175  getgid 176  getitimer 102  getpid 172
    getppid 173  getrandom 278  getrlimit 163  getrusage 165  getsockname 204  gettid 178
    gettimeofday 169  getuid 174  init_module 105  io_uring_enter 426  io_uring_register 427
    io_uring_setup 425  ioctl 29  kcmp 272  kexec_file_load 294  kexec_load 104  keyctl 219  kill 129
    lseek 62  madvise 233  mmap 222  mount 40  mount_setattr 442  move_mount 429
    mprotect 226  mremap 216  munmap 215  nanosleep 101  newfstatat 79  open_by_handle_at 265
    open_tree 428  openat 56  perf_event_open 241  personality 92  pidfd_getfd 438  pipe2 59
    pivot_root 41  ppoll 73  pread64 67  prlimit64 261  process_vm_readv 270  process_vm_writev 271
    pselect6 72  ptrace 117  pwrite64 68  read 63  readlinkat 78  readv 65  reboot 142  recvfrom 207
    request_key 218  restart_syscall 128  rseq 293  rt_sigaction 134  rt_sigprocmask 135
    rt_sigreturn 139  sched_getaffinity 123  sched_yield 124  sendto 206  set_robust_list 99
    setitimer 103  setns 268  setrlimit 164  shutdown 210  sigaltstack 132  socketpair 199  statx 291
    swapoff 225  swapon 224  sysinfo 179  tgkill 131  times 153  umount2 39  uname 160
    unshare 97  userfaultfd 282  write 64  writev 66
    """
)

ARCHITECTURES = {
    "x86_64": Architecture(0xC000003E, X86_64),
    "aarch64": Architecture(0xC00000B7, AARCH64),
}


def architecture(machine: str) -> Architecture | None:
    """The table for a 64-bit interpreter on `machine` (as `os.uname().machine` says), or None."""
    return ARCHITECTURES.get(machine) if sys.maxsize > 2**32 else None
