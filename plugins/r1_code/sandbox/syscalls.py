"""The system calls that Python has no words for, through ctypes. Linux on x86_64 and aarch64."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
_syscall = libc.syscall
_syscall.restype = ctypes.c_long

ARCH = {"x86_64": 0, "aarch64": 1}.get(os.uname().machine, -1)
"""Which column of a syscall table is this machine's; -1 where none is."""

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 38, 36

_CLONE = (56, 220)
_CAPSET = (126, 91)
_MOUNT_SETATTR = (442, 442)
_CAPABILITY_VERSION = 0x20080522


def ready(number: int, *args: int | bytes | None) -> Callable[[], int]:
    """One system call, to be made at once or often: little is left to do then. Raises OSError."""
    words: list[Any] = [ctypes.c_long(number)]
    words += [ctypes.c_long(a) if isinstance(a, int) else a for a in args]

    def made() -> int:
        result: int = _syscall(*words)
        if result < 0:
            raise _error(f"system call {number}")
        return result

    return made


def call(number: int, *args: int | bytes | None) -> int:
    return ready(number, *args)()


def prctl(option: int, value: int = 0) -> None:
    zero = ctypes.c_ulong(0)
    if libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero) < 0:
        raise _error(f"prctl {option}")


def unshare(flags: int) -> None:
    if libc.unshare(ctypes.c_int(flags)) < 0:
        raise _error("unshare")


def clone(flags: int = 0) -> int:
    """A fork with `flags` beside SIGCHLD, for a process without threads.

    Neither the C library nor Python hears of it: what they do after a fork touches as many pages of
    memory as a small program.
    """
    return call(_CLONE[ARCH], flags | 17, 0, 0, 0, 0)


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    words = [os.fsencode(source), os.fsencode(target), kind.encode() if kind else None]
    if libc.mount(*words, ctypes.c_ulong(flags), options.encode() or None) < 0:
        raise _error(f"mount {target}")


def set_mount(target: str, add: int, clear: int = 0, *, below: bool = False) -> None:
    """Changes what a mount allows; `below` also all that is mounted on it."""
    fields = struct.pack("QQQQ", add, clear, 0, 0)
    flags = 0x8000 if below else 0
    call(_MOUNT_SETATTR[ARCH], -100, os.fsencode(target), flags, fields, len(fields))


def drop_bounds() -> None:
    """No capability is to be had by running a file, whoever owns it. Those there are stay."""
    try:
        for capability in range(64):
            prctl(PR_CAPBSET_DROP, capability)
    except OSError:
        pass  # past the last one, or not ours to drop: no_new_privs keeps them away as well


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


drop_capabilities = ready(_CAPSET[ARCH], struct.pack("Ii", _CAPABILITY_VERSION, 0), bytes(24))
