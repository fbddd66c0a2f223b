"""Files that survive a kill and a full disk: whole or not at all, row by row.

A file is written beside its place and renamed. Rows are appended by one write each; should a kill
tear a long one all the same, it is closed off and left out.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1cli.errors import ProviderError, UsageError

UNWRITABLE = (
    *(errno.EACCES, errno.EROFS, errno.EPERM, errno.ENAMETOOLONG),
    *(errno.ENOTDIR, errno.EEXIST, errno.EISDIR),
)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Say a full or unwritable disk in one line instead of a traceback."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise ProviderError(
                f"no space left while writing {path}; free some and run the same command again: "
                "it goes on from the last checkpoint"
            ) from error
        if error.errno in UNWRITABLE:
            raise UsageError(f"cannot write {path}: {error.strerror}") from error
        raise


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
