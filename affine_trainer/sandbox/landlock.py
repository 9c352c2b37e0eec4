"""Landlock: a rule set that handles every right the kernel knows and allows none of them."""

from __future__ import annotations

import ctypes
import os

from affine_trainer.sandbox import libc

CREATE_RULESET = 444  # the same numbers on every architecture
RESTRICT_SELF = 446
VERSION_FLAG = 1

FIRST_FILE_RIGHTS = (1 << 13) - 1
REFER = 1 << 13  # since version 2
TRUNCATE = 1 << 14  # since version 3
IOCTL_DEVICE = 1 << 15  # since version 5
NETWORK_RIGHTS = 0b11  # bind and connect TCP, since version 4
SCOPES = 0b11  # abstract Unix sockets and signals, since version 6


class Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


def version() -> int:
    """The kernel's Landlock version; 0 where there is none."""
    try:
        return libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(VERSION_FLAG))
    except OSError:
        return 0


def rights(abi: int) -> tuple[Ruleset, int]:
    """Everything version `abi` can deny, and how many bytes of the structure that version reads."""
    files = FIRST_FILE_RIGHTS
    files |= REFER if abi >= 2 else 0
    files |= TRUNCATE if abi >= 3 else 0
    files |= IOCTL_DEVICE if abi >= 5 else 0
    network = NETWORK_RIGHTS if abi >= 4 else 0
    scopes = SCOPES if abi >= 6 else 0
    return Ruleset(files, network, scopes), 24 if abi >= 6 else 16 if abi >= 4 else 8


def deny_everything() -> int:
    """Shut this process and its children out of all files, for good.

    Returns the version in force, 0 where the kernel has no Landlock or refuses it. Needs no_new_privs.
    """
    abi = version()
    if abi:
        try:
            _restrict(*rights(abi))
        except OSError:
            return 0
    return abi


def _restrict(ruleset: Ruleset, size: int) -> None:
    descriptor = libc.syscall(CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), ctypes.c_uint(0))
    try:
        libc.syscall(RESTRICT_SELF, ctypes.c_int(descriptor), ctypes.c_uint(0))
    finally:
        os.close(descriptor)
