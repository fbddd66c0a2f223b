"""What all programs of a language compile again and again, compiled once: a header, a library.

Both compilers ignore what does not fit, and then do the work themselves: a wrong folder costs time
and never changes a program.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from r1_code.tools import find_tool, identity

STALE_SECONDS = 3600

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ahead:
    """A source that is compiled into a `{folder}`, and what then makes a compiler look there.

    It serves the programs that `when` finds something in. `words` are put behind the compiler's
    name, `environment` also where the folder is made. `inside` is made in the folder beforehand.
    """

    when: re.Pattern[str]
    source: str
    text: str
    command: Sequence[str]
    inside: str = "."
    words: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


class AheadFolders:
    """One folder per compiler and flags, made when first asked for; for one event loop.

    Source and compiler are ours and the system's, so no sandbox is needed to make one. With
    `open_only` programs may be another user's, and what lies in a closed folder (/root) is of no
    use: Go fails where it cannot read.
    """

    def __init__(self, folder: Path, *, open_only: bool = False) -> None:
        self._folder, self._open_only = folder, open_only
        self._making: dict[str, asyncio.Task[Path | None]] = {}

    async def place(self, ahead: Ahead, environment: Mapping[str, str]) -> Path | None:
        """The folder; None where it cannot be made or read, which costs time only."""
        if not self._can_be_read(self._folder):
            return None
        parts = [identity(ahead.command[0]), ahead.text, *ahead.command, *environment.items()]
        key = hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()
        if key not in self._making:
            made = self._made(self._folder / key, ahead, environment)
            self._making[key] = asyncio.create_task(made)
        folder = await asyncio.shield(self._making[key])
        return folder if folder and self._can_be_read(folder) else None

    async def close(self) -> None:
        """End what is being made."""
        for task in self._making.values():
            task.cancel()
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    async def _made(
        self, folder: Path, ahead: Ahead, environment: Mapping[str, str]
    ) -> Path | None:
        if folder.exists():
            return folder
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._clean()
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as place:
                source, beside = Path(place) / ahead.source, Path(place) / "made"
                source.write_text(ahead.text, encoding="utf-8")
                (beside / ahead.inside).mkdir(parents=True)
                await _run(ahead, source, beside, environment)
                beside.rename(folder)
        except OSError as error:
            if folder.exists():
                return folder  # another process was faster
            log.warning("compiling %s goes on without help: %s", ahead.source, error)
            return None
        return folder

    def _can_be_read(self, folder: Path) -> bool:
        there = [path for path in (folder, *folder.absolute().parents) if path.exists()]
        return not self._open_only or all(path.stat().st_mode & stat.S_IXOTH for path in there)

    def _clean(self) -> None:
        """Throw away what a killed process left half made."""
        for left in self._folder.glob(".*"):
            with contextlib.suppress(OSError):
                if left.stat().st_mtime < time.time() - STALE_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)


async def _run(ahead: Ahead, source: Path, folder: Path, environment: Mapping[str, str]) -> None:
    command = [word.format(source=source, folder=folder) for word in ahead.command]
    own = {name: value.format(folder=folder) for name, value in ahead.environment.items()}
    process = await asyncio.create_subprocess_exec(
        find_tool(command[0]),
        *command[1:],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**environment, **own},
    )
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.communicate()
        raise
    if process.returncode != 0:
        raise OSError(said.decode(errors="replace").strip()[-200:])
