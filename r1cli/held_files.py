"""Files that are held while they are written, so that what a killed writer left is known as that.

A file is held by a lock of its writer's, which the kernel lets go of with the process. It is open
to read and to write, for NFS gives no lock otherwise. On a file system without locks nothing is
ever taken for left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

HOLD = "held"


def create_held(path: Path) -> int:
    """A new file, open to append, that is held until it is closed."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)  # it was taken for left behind, and cleared, before it was held


@contextlib.contextmanager
def abandoned(path: Path) -> Iterator[bool]:
    """Whether the file is there and nobody holds it; if so it is held while inside."""
    try:
        handle = os.open(path, os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        yield False
        return
    try:
        yield _taken(handle)
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return os.fstat(handle).st_nlink > 0


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A folder to write in what then takes the place of `path`; it is gone at the end.

    Several processes may write one file at a time. What killed ones left there is cleared.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        with abandoned(left / HOLD) as dead:
            if dead:
                shutil.rmtree(left, ignore_errors=True)
    folder = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(3)}.partial")
    handle = _held_folder(folder)
    try:
        yield folder
    finally:
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)


def _held_folder(folder: Path) -> int:
    while True:
        folder.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # cleared before it was held
            return create_held(folder / HOLD)
