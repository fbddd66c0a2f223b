"""A file tree for sandboxes, in the zygote's private mount namespace: read-only mounts of what may
be read, devices, and a place for work directories. The rest of the host is not in it.

A folder that only root may enter (/root, say) does not hide what lies below it: in the view its
path is made anew, open to all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from .readable import DEVICES
from .syscalls import (
    ATTR_NODEV,
    ATTR_NOSUID,
    ATTR_RDONLY,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    mount,
    set_mount,
)

BOXES = "/r1"
WORK = f"{BOXES}/work"
"""Where the working directory is mounted. A Landlock rule on its parent holds for every one."""

_PLACES = ("/media", "/srv", "/boot", "/mnt", "/opt")
_LINKS = {"stdin": "0", "stdout": "1", "stderr": "2", "fd": ""}


class View:
    """Mounted at `root`; made once, in a mount namespace in which the process may mount."""

    def __init__(self, paths: Iterable[str]) -> None:
        paths = [os.path.realpath(path) for path in paths]
        self.root = _place(paths)
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        mount("tmpfs", self.root, "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=0755")
        self._asked: set[str] = set()
        self._bound: set[str] = set()
        for folder in ("/dev", "/proc", WORK):
            os.makedirs(self.root + folder)
        os.symlink(WORK, f"{self.root}/tmp")  # noqa: S108 - inside
        for name, number in _LINKS.items():
            os.symlink(f"/proc/self/fd/{number}".rstrip("/"), f"{self.root}/dev/{name}")
        for device in DEVICES:
            self._bind(device, device=True)
        try:
            # For /dev/stdin alone. It shows the processes of this pid namespace; Landlock lets
            # nobody open what is in it.
            flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
            mount("proc", f"{self.root}/proc", "proc", flags, "subset=pid")
        except OSError:
            pass  # containers that hide parts of /proc forbid another one
        set_mount(self.root, ATTR_RDONLY)

    def add(self, paths: Iterable[str]) -> bool:
        """Brings paths in, as what they are: links stay links. Missing ones are passed over.

        Says whether anything was new.
        """
        wanted = [path for path in dict.fromkeys(paths) if path not in self._asked]
        if not wanted:
            return False
        self._asked.update(wanted)
        set_mount(self.root, 0, ATTR_RDONLY)
        try:
            for path in wanted:
                self._add(os.path.abspath(path))
        finally:
            set_mount(self.root, ATTR_RDONLY)
        return True

    def _has(self, path: str) -> bool:
        real = os.path.realpath(path)
        return path == real and any(f"{real}/".startswith(f"{b}/") for b in self._bound)

    def _add(self, path: str) -> None:
        here = ""
        parts = path.strip("/").split("/")
        for number, part in enumerate(parts, start=1):
            link, here = here, f"{here}/{part}"
            if os.path.islink(here):
                target = os.readlink(here)
                if not self._has(link or "/") and not os.path.lexists(self.root + here):
                    os.makedirs(self.root + link, exist_ok=True)
                    os.symlink(target, self.root + here)
                rest = "/".join(parts[number:])
                return self._add(os.path.normpath(os.path.join(link or "/", target, rest)))
        if os.path.exists(path) and not self._has(path):
            self._bind(path)
        return None

    def _bind(self, path: str, *, device: bool = False) -> None:
        target = self.root + path
        if path.startswith("/tmp/") and os.path.islink(f"{self.root}/tmp"):  # noqa: S108
            os.unlink(f"{self.root}/tmp")  # noqa: S108 - no work directory then, but what is wanted
        if os.path.isdir(path):
            os.makedirs(target, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        mount(path, target, None, MS_BIND | MS_REC)
        allowed = ATTR_RDONLY | ATTR_NOSUID | (0 if device else ATTR_NODEV)
        set_mount(target, allowed if not device else ATTR_NOSUID, below=True)
        self._bound.add(path)


def _place(paths: Iterable[str]) -> str:
    """A folder that can be mounted over, as nothing that is wanted lies in it."""
    for place in _PLACES:
        free = not any(f"{path}/".startswith(f"{place}/") for path in paths)
        if free and os.path.isdir(place) and not os.path.islink(place):
            return place
    raise OSError(f"none of {', '.join(_PLACES)} is a folder that nothing is read from")
