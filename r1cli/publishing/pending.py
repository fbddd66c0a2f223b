"""push.json of a run: what was pushed where at which commit, and so what is left to push."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from r1cli.errors import R1Error, UsageError
from r1cli.files import write_atomic
from r1cli.publishing.pieces import Piece, Wanted
from r1cli.run import Run

log = logging.getLogger(__name__)


class Ledger:
    """The run's push.json, written anew after every piece."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "push.json"
        self.state: dict[str, Any] = {"pieces": {}}
        if self.path.exists():
            try:
                self.state = dict(json.loads(self.path.read_text(encoding="utf-8")))
                self.state["pieces"] = dict(self.state["pieces"])
            except (OSError, ValueError, LookupError, TypeError) as error:
                raise UsageError(
                    f"{self.path} cannot be read ({error!r}); move it away: the hub itself knows "
                    "what it has"
                ) from error

    @property
    def repo(self) -> str:
        """Where the run was pushed before, or the empty string."""
        return str(self.state.get("repo", ""))

    @property
    def private(self) -> bool:
        return bool(self.state.get("private", True))

    def commit(self, piece: Piece) -> str | None:
        """The commit at which this very piece was pushed to this very place."""
        entry = self.state["pieces"].get(_key(piece), {})
        return entry.get("commit") if entry.get("digest") == piece.digest() else None

    def left(self, pieces: Sequence[Piece]) -> list[str]:
        return [piece.name for piece in pieces if not self.commit(piece)]

    def aim(self, wanted: Wanted) -> None:
        self._write(repo=wanted.repo, private=wanted.private)

    def record(self, piece: Piece, commit: str) -> None:
        entry = {
            "what": piece.name,
            "commit": commit,
            "digest": piece.digest(),
            "files": len(piece.files),
            "pushed": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        self._write(pieces={**self.state["pieces"], _key(piece): entry})

    def _write(self, **values: Any) -> None:
        self.state |= values
        write_atomic(self.path, json.dumps(self.state, indent=2) + "\n")


def push_finished(run: Run, wanted: Wanted) -> None:
    """Push after training. What fails is told and left for `r1 push`: the run stays finished."""
    from r1cli.publishing.push import push

    try:
        for row in push(run, wanted):
            log.info("%s: %s at %s, %s", row["what"], row["state"], row["place"], row["commit"])
    except R1Error as error:
        log.warning("%s is finished, but %s", run.directory, error)
    except Exception as error:  # whatever a hub brings about, the run is not to fail by it
        log.warning(
            "%s is finished, but the push stopped with %s; try again: %s",
            *(run.directory, type(error).__name__, wanted.command(run)),
        )


def _key(piece: Piece) -> str:
    return f"{piece.kind}s/{piece.repo}@{piece.revision}"
