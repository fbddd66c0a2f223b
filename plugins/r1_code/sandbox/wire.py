"""How a task travels into a sandbox, and how its endings come out.

A task is one file in memory: two lengths, a header, source for the warm interpreter, and the bytes
that the header points to, so that 100 MB of stdin are written once and never pass through a socket.
The header is marshalled: both ends are the same Python, and the reader may trust its parent.

The other way nothing is trusted. Results are frames in a pipe: a kind, three lengths, a header and
two pieces of bytes. The header is JSON, but that of an ending is packed: JSON is much to do for a
process that was just forked.
"""

from __future__ import annotations

import json
import marshal
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_LARGE_BYTES = 1 << 20  # what is written piece by piece, not copied into one
_LENGTHS = struct.Struct("<QQ")
_FRAME = struct.Struct("<cIII")
_ENDING = struct.Struct("<iB??ddd")
_STOPPED = "", "wall", "output"

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

    def write(self, fd: int, header: dict[str, Any], source: bytes) -> None:
        about = marshal.dumps(header)
        head = _LENGTHS.pack(len(about), len(source)) + about + source
        if self._length > _LARGE_BYTES:
            write_all(fd, head)
            for piece in self._pieces:
                write_all(fd, piece)
        else:
            write_all(fd, b"".join([head, *self._pieces]))


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
    python: bool
    source: bytes
    files: Mapping[str, list[int]]
    inputs: Sequence[tuple[list[int], Mapping[str, list[int]]]]
    environment: Mapping[str, str]
    fetch: Sequence[str]
    stop_at_failure: bool

    def __init__(self, fd: int) -> None:
        self.fd = fd
        about, source = _LENGTHS.unpack(os.pread(fd, _LENGTHS.size, 0))
        head = os.pread(fd, about + source, _LENGTHS.size)
        vars(self).update(marshal.loads(head[:about]))
        self.source = head[about:]
        self._start = _LENGTHS.size + about + source

    def copy(self, place: Sequence[int], target: int) -> None:
        """Into another file, within the kernel: none of it passes through this process, whose
        memory all tested processes are given a copy of.
        """
        offset, left = place
        while left:
            done = os.sendfile(target, self.fd, self._start + offset, left)
            if not done:
                raise OSError("the task is cut off")
            offset, left = offset + done, left - done


# -- results ---------------------------------------------------------------------------------------


def frame(kind: bytes, about: Mapping[str, Any], first: bytes = b"", second: bytes = b"") -> bytes:
    """Of any kind but an ending."""
    return _frame(kind, json.dumps(about).encode() if about else b"{}", first, second)


def ending_frame(ending: Mapping[str, Any], stdout: bytes, stderr: bytes) -> bytes:
    """`code` is negative where a signal ended it."""
    stopped = _STOPPED.index(ending["stopped"])
    flags = stopped, ending["truncated"], ending["oom"]
    used = ending["cpu_seconds"], ending["wall_seconds"], ending["peak_mb"]
    return _frame(ENDING, _ENDING.pack(ending["code"], *flags, *used), stdout, stderr)


def _frame(kind: bytes, about: bytes, first: bytes, second: bytes) -> bytes:
    head = _FRAME.pack(kind, len(about), len(first), len(second))
    return b"".join((head, about, first, second))


def _ending(data: bytes) -> dict[str, Any]:
    try:
        code, stopped, truncated, oom, cpu, wall, peak = _ENDING.unpack(data)
    except struct.error as error:
        raise ValueError(str(error)) from error
    return {
        "exit_code": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
        "stopped": _STOPPED[stopped % len(_STOPPED)],
        "truncated": truncated,
        "oom": oom,
        "cpu_seconds": cpu,
        "wall_seconds": wall,
        "peak_mb": peak,
    }


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
            about = _ending(parts[0]) if kind == ENDING else json.loads(parts[0])
            yield kind, about, parts[1], parts[2]
