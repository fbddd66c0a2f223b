"""Where r1 keeps what it builds once and uses again: `$R1_HOME`, else `~/.cache/r1`."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """The folder for one kind of cached thing (`models`); not created here."""
    root = os.environ.get("R1_HOME")
    return (Path(root) if root else Path.home() / ".cache" / "r1") / kind
