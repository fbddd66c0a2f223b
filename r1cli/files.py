"""Files that survive a kill and a full disk: whole or not at all, row by row.

A file is written beside its place and renamed. Rows are appended by one write each; should a kill
tear a long one all the same, it is closed off and left out.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1cli.errors import ProviderError, R1Error, UsageError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
HARDLY_ANY = 2**20
"""Bytes: with less than this free, what failed to write failed for want of space."""

UNWRITABLE = (
    *(errno.EACCES, errno.EROFS, errno.EPERM, errno.ENAMETOOLONG),
    *(errno.ENOTDIR, errno.EEXIST, errno.EISDIR),
)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Say a full or unwritable disk in one line instead of a traceback."""
    try:
        yield
    except R1Error:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        # torch and safetensors turn ENOSPC into errors of their own: look at the disk itself.
        if number in FULL or (number is None and free_bytes(path) < HARDLY_ANY):
            raise ProviderError(
                f"no space left while writing {path}; free some and run the same command again: "
                "it goes on from what is written"
            ) from error
        if number in UNWRITABLE:
            raise UsageError(f"cannot write {path}: {os.strerror(number or 0)}") from error
        raise


def free_bytes(path: Path) -> int:
    """Free space where `path` is or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def write_atomic(path: Path, text: str) -> None:
    """Replace a file in one step: a reader or a crash sees the old text or the new, whole.

    One process writes a file at a time (a run directory is held), so what it writes beside has one
    name, and what a killed process left there is overwritten.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.partial")
        try:
            with beside.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Append one JSON line by a single write."""
    line = (json.dumps(row, ensure_ascii=False, default=str) + "\n").encode(errors="replace")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                line = b"\n" + line  # a torn line must not take this one with it
            if os.write(handle, line) != len(line):
                os.ftruncate(handle, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        finally:
            os.close(handle)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file of ours; a line torn by a kill or a crash is left out."""
    if not path.exists():
        return []
    rows = []
    # Not splitlines(): it also splits at U+2028 and the like, which JSON text may hold.
    with disk_errors(path):
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for line in lines:
        with contextlib.suppress(json.JSONDecodeError):
            row = json.loads(line)
            if isinstance(row, dict):
                rows.append(row)
    return rows


class LogFile(logging.FileHandler):
    """A log that a full disk silences: losing lines of it must not cost the run."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", delay=True)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        pass

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()
