"""What compilers left, on disk by content: read by any process, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from r1cli import Execution

MAX_BYTES = 2 << 30
LOOK_AFTER = 64 << 20  # bytes written before the size of the store is looked at again
STALE_SECONDS = 3600  # since when a file that is being written is not any more
OUTCOME = "outcome.json"
FILES = "files/"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Compiled:
    """How a compilation ended, and the files it made: none unless it went well."""

    execution: Execution
    files: Mapping[str, bytes] = field(default_factory=dict)


class CompileStore:
    """One zip file per key, the least recently used thrown away above `max_bytes`.

    Losing any of it costs time only: what cannot be read is compiled again, and what cannot be
    written is said once and done without.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.folder, self._max_bytes = folder, max_bytes
        self._unlooked = LOOK_AFTER
        self._warned = False

    def get(self, key: str) -> Compiled | None:
        path = self._path(key)
        try:
            with zipfile.ZipFile(path) as entry:
                about = json.loads(entry.read(OUTCOME))
                names = [name for name in entry.namelist() if name.startswith(FILES)]
                files = {name.removeprefix(FILES): entry.read(name) for name in names}
            streams = {name: about.pop(name).encode("latin-1") for name in ("stdout", "stderr")}
            found = Compiled(Execution(**about, **streams), files)  # TypeError: of another version
            os.utime(path)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None
        return found

    def put(self, key: str, compiled: Compiled) -> None:
        path = self._path(key)
        about = dict(vars(compiled.execution))
        about |= {name: about[name].decode("latin-1") for name in ("stdout", "stderr")}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".")
            try:
                with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w") as entry:
                    entry.writestr(OUTCOME, json.dumps(about))
                    for name, content in compiled.files.items():
                        entry.writestr(FILES + name, content)
                self._unlooked += Path(beside).stat().st_size
                Path(beside).replace(path)
            finally:
                Path(beside).unlink(missing_ok=True)
            if self._unlooked > LOOK_AFTER:
                self._unlooked = 0
                self.trim()
        except OSError as error:
            if not self._warned:
                log.warning("what is compiled is not kept: %s", error)
            self._warned = True

    def trim(self) -> None:
        """Throw away what was used longest ago until the rest fits, with a tenth to spare."""
        found = []
        with contextlib.suppress(OSError):
            for path in self.folder.glob("??/*"):
                with contextlib.suppress(OSError):
                    about = path.stat()
                    if path.suffix == ".zip" or about.st_mtime < time.time() - STALE_SECONDS:
                        found.append((about.st_mtime, about.st_size, path))
        size = sum(entry[1] for entry in found)
        if size <= self._max_bytes:
            return
        for _, bytes_, path in sorted(found):
            if size <= 0.9 * self._max_bytes:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            size -= bytes_

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.zip"
