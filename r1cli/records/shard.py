"""One append-only JSONL file, and beside it an index that can be rebuilt from it at any time.

A row starts with its address: `{"key":"<32 hex>","index":N,`. The index has 32 bytes per row, in
order: the key, the place in the file, the length, the index. The row is written first, the entry
second: what a kill left without an entry, the next reader finds by looking at the rest of the file.
A row is there when its line is: a torn one, which only the last can be, is not.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from r1cli.files import disk_errors
from r1cli.held_files import create_held

ENTRY = struct.Struct("<16sQII")
"""Key, offset, length, index."""

ADDRESS = re.compile(rb'\{"key": ?"([0-9a-f]{32})", ?"index": ?(\d{1,9}),')
WHOLE = (b"}\n", b"}\r\n")
"""How a row ends that is not torn. Who wrote it with another program has other spaces and ends."""
SUFFIX, INDEX_SUFFIX = ".jsonl", ".index"


def new_name() -> str:
    """A name that no other writer takes, and that sorts by the time it was made."""
    host = re.sub(r"\W", "", socket.gethostname())[:16]
    seconds, rest = divmod(time.time_ns(), 10**9)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return f"{stamp}.{rest:09}-{host}-{os.getpid()}-{secrets.token_hex(3)}{SUFFIX}"


def line_of(row: Mapping[str, Any]) -> bytes:
    """A row as it is stored; it must start with `key` and `index`."""
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode(errors="replace") + b"\n"


class Writer:
    """Appends to one new shard, which it holds until it is closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._data = create_held(path)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
            self._index = os.open(path.with_suffix(INDEX_SUFFIX), flags, 0o644)
        self.size = 0

    def append(self, lines: Iterable[bytes]) -> list[bytes]:
        """Write all lines by one write, then their entries, which are returned.

        Raises ProviderError on a full disk; then none of them is there.
        """
        entries, size, text = [], self.size, []
        for line in lines:
            address = address_of(line)
            assert address, line[:80]
            key, index = address
            entries.append(ENTRY.pack(key, size, len(line), index))
            text.append(line)
            size += len(line)
        known = os.fstat(self._index).st_size
        with disk_errors(self.path):
            try:
                _write(self._data, b"".join(text))
                _write(self._index, b"".join(entries))
            except OSError:
                os.ftruncate(self._data, self.size)
                os.ftruncate(self._index, known)
                raise
        self.size = size
        return entries

    def close(self) -> None:
        os.close(self._data)
        os.close(self._index)


def _write(handle: int, data: bytes) -> None:
    if os.write(handle, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def entries(path: Path, start: int = 0) -> bytes:
    """The entries of all rows from byte `start` of the shard: from its index, then by looking."""
    size = path.stat().st_size
    if start >= size:
        return b""
    try:
        known = path.with_suffix(INDEX_SUFFIX).read_bytes()
    except FileNotFoundError:
        known = b""
    known = known[: len(known) // ENTRY.size * ENTRY.size]
    if known and not _tells(known, path):  # the rows were lost with the machine, the entries not
        known = b""
    first = _first_at(known, start)
    end = end_of(known) if known else 0
    return known[first * ENTRY.size :] + _looked_up(path, max(end, start))


def end_of(known: bytes) -> int:
    """The byte after the row of the last entry."""
    _, offset, length, _ = ENTRY.unpack(known[-ENTRY.size :])
    return int(offset + length)


def _tells(known: bytes, path: Path) -> bool:
    """Whether the last row lies where its entry says, and so all of them."""
    key, offset, length, index = ENTRY.unpack(known[-ENTRY.size :])
    with path.open("rb") as file:
        file.seek(offset)
        line = file.read(length)
    return address_of(line) == (key, index)


def address_of(line: bytes) -> tuple[bytes, int] | None:
    """The key and index of a row; None where the line is none, or is not whole."""
    found = ADDRESS.match(line)
    if not found or not line.endswith(WHOLE):
        return None
    return bytes.fromhex(found[1].decode()), int(found[2])


def _first_at(known: bytes, start: int) -> int:
    """The number of the first entry at or after byte `start`."""
    low, high = 0, len(known) // ENTRY.size
    while low < high:
        middle = (low + high) // 2
        if ENTRY.unpack_from(known, middle * ENTRY.size)[1] < start:
            low = middle + 1
        else:
            high = middle
    return low


def _looked_up(path: Path, start: int) -> bytes:
    found = []
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if address := address_of(line):
                key, index = address
                found.append(ENTRY.pack(key, start, len(line), index))
            start += len(line)
    return b"".join(found)
