"""Landlock: which files a process may open, whatever its uid is.

Source: https://docs.kernel.org/userspace-api/landlock.html. Rights that the kernel does not know
yet are left out, so the same code holds less on an older one; seccomp covers what matters of that.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable

from .syscalls import call, ready

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
TRUNCATE, IOCTL = 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL

_NEWEST = 6  # the last version that brought anything used here
_KNOWN = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16, 6: 16}  # version: how many rights on files
_SIZE = {1: 8, 2: 8, 3: 8, 4: 16, 5: 16, 6: 24}  # version: bytes of the attributes
_TCP, _SCOPES = 3, 3  # bind and connect; abstract sockets and signals


def version() -> int:
    """Of the kernel's Landlock; 0 where it has none or has it turned off."""
    try:
        return call(CREATE_RULESET, None, 0, 1)
    except OSError:
        return 0


VERSION = version()
SCOPED = VERSION >= 6
"""Whether signals and abstract sockets end at the border as well."""


class Ruleset:
    """What a process may open; everything else is refused. Can hold any number of processes."""

    def __init__(self, readable: Iterable[str], writable: Iterable[str] = ()) -> None:
        known = min(VERSION, _NEWEST)
        if not known:
            raise OSError("the kernel has no Landlock")
        self._all = (1 << _KNOWN[known]) - 1
        attributes = struct.pack("QQQ", self._all, _TCP, _SCOPES)[: _SIZE[known]]
        self._fd = call(CREATE_RULESET, attributes, len(attributes), 0)
        self.enforce = ready(RESTRICT_SELF, self._fd, 0)
        """On the calling process, for good. It must have no_new_privs."""
        for path in readable:
            self.allow(path, READ)
        for path in writable:
            self.allow(path, self._all)

    def allow(self, path: str, rights: int) -> None:
        """What is not there is passed over: not every machine has every folder."""
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            if not stat.S_ISDIR(os.fstat(place).st_mode):
                rights &= OF_FILES
            call(ADD_RULE, self._fd, 1, struct.pack("=Qi", rights & self._all, place), 0)
        finally:
            os.close(place)

    def close(self) -> None:
        os.close(self._fd)
