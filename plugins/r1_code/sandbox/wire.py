"""How a task travels into a sandbox, and how its endings come out: plain bytes, nothing pickled.

A task is one file in memory: the length of a header, the header as JSON, and the bytes that it
points to, so that 100 MB of stdin are written once and never pass through a socket. Results are
frames in a pipe: a kind, three lengths, a JSON header and two pieces of bytes.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_LENGTH = struct.Struct("<Q")
_FRAME = struct.Struct("<cIII")

ENDING, FILE, GO_ON, DONE, BROKEN = b"E", b"F", b"N", b"D", b"B"
"""Frames: how an input ended, a file, go on at an input in a new sandbox, the end, a failure."""


def write_all(fd: int, data: bytes | memoryview) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


# -- tasks -----------------------------------------------------------------------------------------


class TaskWriter:
    """Collects the bytes that a task's header points to."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._length = 0

    def place(self, data: bytes) -> list[int]:
        self._pieces.append(data)
        self._length += len(data)
        return [self._length - len(data), len(data)]

    def places(self, files: Mapping[str, bytes]) -> dict[str, list[int]]:
        return {name: self.place(data) for name, data in files.items()}

    def write(self, fd: int, header: Mapping[str, Any]) -> None:
        text = json.dumps(header).encode()
        write_all(fd, _LENGTH.pack(len(text)) + text)
        for piece in self._pieces:
            write_all(fd, piece)


class Request:
    """A task as the sandbox reads it. Attributes are those of Task and Bounds."""

    cpu_seconds: float
    wall_seconds: float
    data_mb: int
    stack_mb: int
    output_bytes: int
    disk_mb: int
    processes: int
    open_files: int
    argv: Sequence[str]
    python: list[int] | None
    files: Mapping[str, list[int]]
    inputs: Sequence[tuple[list[int], Mapping[str, list[int]]]]
    environment: Mapping[str, str]
    fetch: Sequence[str]
    stop_at_failure: bool

    def __init__(self, fd: int) -> None:
        self.fd = fd
        (length,) = _LENGTH.unpack(os.pread(fd, _LENGTH.size, 0))
        self._start = _LENGTH.size + length
        vars(self).update(json.loads(os.pread(fd, length, _LENGTH.size)))

    def read(self, place: Sequence[int]) -> bytes:
        return os.pread(self.fd, place[1], self._start + place[0])

    def copy(self, place: Sequence[int], target: int) -> None:
        """Into another file, within the kernel where there is much of it."""
        offset, left = place
        if left <= 1 << 16:
            write_all(target, self.read(place))
            return
        while left:
            done = os.sendfile(target, self.fd, self._start + offset, left)
            if not done:
                raise OSError("the task is cut off")
            offset, left = offset + done, left - done


# -- results ---------------------------------------------------------------------------------------


def write_frame(
    fd: int, kind: bytes, about: Mapping[str, Any], first: bytes = b"", second: bytes = b""
) -> None:
    text = json.dumps(about).encode()
    head = _FRAME.pack(kind, len(text), len(first), len(second)) + text
    write_all(fd, head + first + second)


class FrameReader:
    """Frames out of bytes as they come in."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, dict[str, Any], bytes, bytes]]:
        """The frames that are whole now: kind, header and two pieces. Raises ValueError."""
        self._data += data
        while len(self._data) >= _FRAME.size:
            kind, *lengths = _FRAME.unpack_from(self._data)
            if len(self._data) < _FRAME.size + sum(lengths):
                return
            parts, place = [], _FRAME.size
            for length in lengths:
                parts.append(bytes(self._data[place : place + length]))
                place += length
            del self._data[:place]
            yield kind, json.loads(parts[0]), parts[1], parts[2]
