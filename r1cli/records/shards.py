"""A folder of shards as one table, whose rows are found by key."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from r1cli.errors import UsageError
from r1cli.extras import require
from r1cli.records import shard
from r1cli.records.attempt import NEEDED
from r1cli.records.places import Place, Places, iterate

log = logging.getLogger(__name__)

Row = dict[str, Any]

MOST_OPEN = 64  # files at a time


class Shards:
    """What a folder holds, as of the last `refresh`, and what was appended here since.

    May be used from any thread.
    """

    def __init__(self, folder: Path) -> None:
        require("eval", "numpy")
        self.folder = folder
        self._writer: shard.Writer | None = None
        self._lock = threading.RLock()
        self._handles: dict[Path, int] = {}
        self._forget()
        self.refresh()

    def _forget(self) -> None:
        self._files: list[Path] = []
        self._known: list[int] = []  # bytes of each file whose rows have their places
        self._places = Places()
        self._close_handles()

    def __len__(self) -> int:
        """How many rows there are, repeats included."""
        return len(self._places)

    @property
    def files(self) -> list[Path]:
        return list(self._files)

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows, each starting with `key` and `index`, by a single write."""
        lines = [shard.line_of(row) for row in rows]
        if not lines:
            return
        with self._lock:
            if self._writer is None:
                self._writer = shard.Writer(self.folder / shard.new_name())
            number = self._number(self._writer.path)
            for entry in self._writer.append(lines):
                key, offset, length, index = shard.ENTRY.unpack(entry)
                self._places.add(key, Place(number, offset, length, index))
            self._known[number] = self._writer.size

    def refresh(self) -> None:
        """Take in what other writers have appended since, and let go of what was merged away."""
        with self._lock:
            while not self._take_in():
                self._forget()

    def _take_in(self) -> bool:
        """All that is new; false where a file went while its turn came."""
        found = sorted(self.folder.glob(f"*{shard.SUFFIX}"))
        if not set(self._files) <= set(found):
            self._forget()
        try:
            for path in found:
                number = self._number(path)
                entries = shard.entries(path, self._known[number])
                if entries:
                    self._places.add_entries(number, entries)
                    self._known[number] = shard.end_of(entries)
        except FileNotFoundError:
            return False
        return True

    def _number(self, path: Path) -> int:
        if path not in self._files:
            self._files.append(path)
            self._known.append(0)
        return self._files.index(path)

    def find(self, key: str, index: int | None = None) -> list[Row]:
        """All rows of a key, or of one index of it, by index; of equal ones the older first.

        Two processes may draw one index at a time. What counts is when it was `created`, not whose
        file was begun first: what one has made use of must not be replaced by what comes later.
        """
        with self._lock:
            while True:
                places = self._places.find(bytes.fromhex(key))
                wanted = [place for place in places if index in (None, place.sample)]
                try:
                    rows = [self._row(self._files[place.file], place) for place in wanted]
                except FileNotFoundError:  # it was merged away: the rows are in another one now
                    self.refresh()
                else:
                    there = [row for row in rows if row is not None]
                    return sorted(there, key=lambda row: (row["index"], row.get("created", 0)))

    def indices(self, key: str) -> list[int]:
        """The indices of a key that are there; no row is read for it."""
        with self._lock:
            return sorted({place.sample for place in self._places.find(bytes.fromhex(key))})

    def scan(self, keep: Callable[[Row], bool] = lambda row: True) -> Iterator[Row]:
        """Every row, of each address the oldest, in the order of the files."""
        with self._lock:
            (table, again), files = self._places.firsts(), self.files
        for place, repeated in zip(iterate(table), again.tolist(), strict=True):
            path = files[place.file]
            try:
                with self._lock:
                    row = self._row(path, place)
                if row is not None and repeated:
                    row = next(iter(self.find(row["key"], place.sample)), None)
            except FileNotFoundError:
                raise UsageError(
                    f"{path} was merged away by r1 records gc meanwhile; run the command again"
                ) from None
            if row is not None and keep(row):
                yield row

    def close(self) -> None:
        with self._lock:
            if self._writer:
                self._writer.close()
                self._writer = None
            self._close_handles()

    def _row(self, path: Path, place: Place) -> Row | None:
        line = os.pread(self._handle(path), place.length, place.offset)
        row = row_of(line, path.parent)
        if row is None:
            log.warning(
                "%s: no row at byte %d; it is left out, and drawn again after r1 records gc",
                *(path, place.offset),
            )
            return None
        return row

    def _handle(self, path: Path) -> int:
        if path not in self._handles:
            if len(self._handles) >= MOST_OPEN:
                self._close_handles()
            self._handles[path] = os.open(path, os.O_RDONLY)
        return self._handles[path]

    def _close_handles(self) -> None:
        for handle in self._handles.values():
            os.close(handle)
        self._handles.clear()


def row_of(line: bytes, table: Path) -> Row | None:
    """The row that a line of a shard in `table` holds; None where it is none."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and row.keys() >= NEEDED[table.name] else None
