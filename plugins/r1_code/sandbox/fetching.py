"""Files of the working directory: whether any has changed, and those that are results."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Mapping

_MAX_FETCHED = 1024


def fetched(
    names: Collection[str], before: Mapping[str, tuple[int, ...]], room: int
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of these names, all of them `room` bytes at most.

    "*" is for every file that is not as it was when `look` saw it `before`.
    """
    if not names:
        return
    after = look(".", max_entries=_MAX_FETCHED)
    for path, about in after.items():
        name = path.removeprefix("./")
        wanted = name in names or ("*" in names and before.get(path) != about)
        if not (wanted and about and stat.S_ISREG(about[0]) and about[1] <= room):
            continue
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue  # a file that may not be read is none of its results
        with open(fd, "rb") as file:
            data = file.read()
        room -= len(data)
        yield name, data


def look(folder: str, depth: int = 8, max_entries: int = 4096) -> dict[str, tuple[int, ...]]:
    """Every path below a folder, and what changes when anything changes it: mode, size, times.

    Nothing of the latter for a folder that may not be read.
    """
    seen: dict[str, tuple[int, ...]] = {}
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return {folder: ()}
    for entry in entries[:max_entries]:
        about = entry.stat(follow_symlinks=False)
        seen[entry.path] = (
            about.st_mode,
            about.st_size,
            about.st_ino,
            about.st_mtime_ns,
            about.st_ctime_ns,
        )
        if entry.is_dir(follow_symlinks=False) and depth:
            seen.update(look(entry.path, depth - 1, max_entries))
    return seen
