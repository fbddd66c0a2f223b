"""`r1 records gc`: many shards become one; repeats, torn ends and what is asked for go."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from r1cli.files import disk_errors
from r1cli.held_files import abandoned
from r1cli.records import shard
from r1cli.records.shards import Row, row_of
from r1cli.records.store import Store

log = logging.getLogger(__name__)

TOGETHER = 1024
"""Rows that are written at a time."""

PARTIAL = ".partial"
"""The suffix of a shard that is not whole."""


@dataclass(frozen=True)
class Swept:
    """Files and bytes before and after; rows that went because they were dropped or repeats."""

    files_before: int
    files: int
    bytes_before: int
    bytes: int
    dropped: int
    repeats: int


def sweep(folder: Path, drop: Callable[[Row], bool] | None = None) -> Swept:
    """Rewrite the store, without the attempts that `drop` says and what was said of them.

    Shards that a process still writes to are left as they are. A new shard is whole before the old
    ones go: what is killed in between leaves repeats, which count once. Holds 200 bytes per row.
    """
    with Store(folder) as store:  # a newer format is refused
        gone = {attempt.id for attempt in store.scan(drop)} if drop else set()
    tables = [folder / "attempts", folder / "rewards"]
    before = [path for table in tables for path in _shards(table)]
    size = sum(_size(path) for path in before)
    with disk_errors(folder):
        (repeats, dropped), (more, _) = (_merge(table, gone) for table in tables)
    after = [path for table in tables for path in _shards(table)]
    return Swept(
        files_before=len(before),
        files=len(after),
        bytes_before=size,
        bytes=sum(_size(path) for path in after),
        dropped=dropped,
        repeats=repeats + more,
    )


def _merge(table: Path, gone: set[str]) -> tuple[int, int]:
    """All closed shards of a folder as one, in their order; how many repeats and drops there were.

    What a sweep that was killed had written of its own goes, too.
    """
    with contextlib.ExitStack() as held:
        left = [p for p in table.glob(f"*{PARTIAL}") if held.enter_context(abandoned(p))]
        closed = [p for p in _shards(table) if held.enter_context(abandoned(p))]
        new = table / shard.new_name()
        beside = new.with_suffix(PARTIAL)
        writer = None
        repeats, lines = 0, list[bytes]()
        first: dict[bytes, float] = {}  # when what there is several times was first created
        spoilt = 0
        for row, line in _lines(closed):
            if row is None:
                spoilt += 1
                continue
            what = _identity(row, line)
            first[what] = min(first.get(what, math.inf), row.get("created", 0))
        if spoilt:
            log.warning("%s: %d lines are no whole rows; they go", table, spoilt)
        dropped: set[str] = set()
        try:
            for row, line in _lines(closed):
                if row is None:
                    continue
                if (address := f"{row['key']}-{row['index']}") in gone:
                    dropped.add(address)
                    continue
                what = _identity(row, line)
                if first.get(what) == row.get("created", 0):
                    del first[what]  # an equal one that comes is a repeat
                    lines.append(line)
                else:
                    repeats += 1
                if len(lines) == TOGETHER:
                    writer = writer or shard.Writer(beside)
                    writer.append(lines)
                    lines = []
            if lines:
                writer = writer or shard.Writer(beside)
                writer.append(lines)
            if writer:
                beside.replace(new)
        finally:
            if writer:
                writer.close()
            if not new.exists():
                _remove(beside)
        for path in [*left, *closed]:
            _remove(path)
    return repeats, len(dropped)


def _remove(path: Path) -> None:
    """The index first: one that is left alone would never go."""
    path.with_suffix(shard.INDEX_SUFFIX).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    """Of a file that another sweep may have merged away."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _lines(paths: Sequence[Path]) -> Iterator[tuple[Row | None, bytes]]:
    """All lines, with the row of each as a reader of the store sees it."""
    for path in paths:
        with path.open("rb") as file:
            for line in file:
                yield row_of(line, path.parent) if shard.address_of(line) else None, line


def _identity(row: Row, line: bytes) -> bytes:
    """An attempt is its address; a judgement all that it says."""
    if "text" in row:
        return bytes.fromhex(row["key"]) + int(row["index"]).to_bytes(4, "little")
    return hashlib.sha256(line).digest()[:16]


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{shard.SUFFIX}"))
