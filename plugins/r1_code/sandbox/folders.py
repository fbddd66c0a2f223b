"""Removing what a program left on the disk, however deep, odd or locked it made it."""

from __future__ import annotations

import contextlib
import os


def remove_tree(path: str) -> None:
    """Removes a folder that nothing writes to any more. Follows no link.

    Every folder is first moved up to one level below its top, so that no path is ever too long and
    nothing recurs; and first made accessible.
    """
    if not os.path.isdir(path) or os.path.islink(path):
        return
    above, number = [path], 0
    while above:
        folder = above.pop()
        _open_up(folder)
        inner = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    inner.append(entry.path)
                else:
                    os.unlink(entry.path)
        for place in inner:
            _open_up(place)
            number += 1
            moved = f"{path}.{number}"
            os.rename(place, moved)
            above.append(moved)
        os.rmdir(folder)


def _open_up(folder: str) -> None:
    with contextlib.suppress(PermissionError):  # somebody else's: what can be removed will be
        os.chmod(folder, 0o700)
