"""Where the rows of each key are: sorted arrays in memory, 44 bytes per row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

FRESH = 4096
"""Rows that are kept in a dict before they are sorted into an array."""


class Place(NamedTuple):
    """A row: the number of its file, where in it, how long, and which sample of its key it is."""

    file: int
    offset: int
    length: int
    sample: int


class Places:
    """Keys to places. New ones go to a dict, that to sorted arrays of growing sizes, as in a
    log-structured merge tree: adding n costs n log n in all, finding a few binary searches.
    """

    def __init__(self) -> None:
        self._fresh: dict[bytes, list[Place]] = {}
        self._fresh_count = 0
        self._runs: list[_Run] = []

    def __len__(self) -> int:
        return self._fresh_count + sum(len(run.table) for run in self._runs)

    def add(self, key: bytes, place: Place) -> None:
        self._fresh.setdefault(key, []).append(place)
        self._fresh_count += 1
        if self._fresh_count >= FRESH:
            self._settle()

    def add_entries(self, file: int, entries: bytes) -> None:
        """Many at once: `shard.ENTRY`s of one file."""
        import numpy as np

        raw = np.frombuffer(entries, ENTRY)
        table = np.empty(len(raw), ROW)
        for name, _ in ENTRY:
            table[name] = raw[name]
        table["file"] = file
        self._push(table)

    def find(self, key: bytes) -> list[Place]:
        """By index; of one index the earlier first."""
        high, low = _halves(key)
        found = [place for run in self._runs for place in run.find(high, low)]
        found += self._fresh.get(key, [])
        return sorted(found, key=lambda place: (place.sample, place.file, place.offset))

    def firsts(self) -> tuple[np.ndarray, np.ndarray]:
        """One place per key and index, the earliest, as a table in the order of the files, and
        whether there are others of it."""
        import numpy as np

        self._settle()
        if not self._runs:
            return np.empty(0, ROW), np.empty(0, bool)
        table = np.concatenate([run.table for run in self._runs])
        names = ("offset", "file", "sample", "low", "high")  # the last one sorts first
        table = table[np.lexsort([table[name] for name in names])]
        new = np.ones(len(table), bool)
        new[1:] = np.logical_or.reduce([table[n][1:] != table[n][:-1] for n in names[2:]])
        table, again = table[new], ~np.append(new[1:], True)[new]
        order = np.lexsort([table["offset"], table["file"]])
        return table[order], again[order]

    def _settle(self) -> None:
        import numpy as np

        rows = [
            (*_halves(key), place.offset, place.length, place.sample, place.file)
            for key, places in self._fresh.items()
            for place in places
        ]
        self._fresh, self._fresh_count = {}, 0
        if rows:
            self._push(np.array(rows, ROW))

    def _push(self, table: np.ndarray) -> None:
        import numpy as np

        while self._runs and len(self._runs[-1].table) < 2 * len(table):
            table = np.concatenate([self._runs.pop().table, table])
        self._runs.append(_Run(table))


def iterate(table: np.ndarray) -> Iterator[Place]:
    """The rows of a table, a few at a time as Python's own numbers."""
    for start in range(0, len(table), FRESH):
        for _, _, offset, length, sample, file in table[start : start + FRESH].tolist():
            yield Place(file, offset, length, sample)


ENTRY = [("high", "<u8"), ("low", "<u8"), ("offset", "<u8"), ("length", "<u4"), ("sample", "<u4")]
"""`shard.ENTRY` as numpy reads it, the key in two halves."""
ROW = [*ENTRY, ("file", "<u4")]


class _Run:
    """A table in the order of the keys' first halves, which lie together to be searched."""

    def __init__(self, table: np.ndarray) -> None:
        import numpy as np

        self.table = table[np.argsort(table["high"], kind="stable")]
        self.keys = np.ascontiguousarray(self.table["high"])

    def find(self, high: int, low: int) -> list[Place]:
        import numpy as np

        start = int(self.keys.searchsorted(np.uint64(high)))
        found = []
        while start < len(self.keys) and int(self.keys[start]) == high:
            _, second, offset, length, sample, file = self.table[start].item()
            if second == low:
                found.append(Place(file, offset, length, sample))
            start += 1
        return found


def _halves(key: bytes) -> tuple[int, int]:
    return int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
