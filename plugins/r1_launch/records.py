"""What a run directory keeps of its job: job.json as submitted, job.ended as the script ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from r1cli import UsageError


def read_job(directory: Path) -> dict[str, Any] | None:
    """The job submitted for a run directory last: id, name, nodes, log, command, submitted."""
    path = directory / "job.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not a job of r1: {error}") from error


def exit_code(directory: Path, job: str) -> int | None:
    """How the script of that job ended; None while it runs, or where it was killed."""
    try:
        number, code, _ = (directory / "job.ended").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return None
    return int(code) if number == job else None


def job_of_run(target: str) -> str:
    """The job id that a run directory or a job id means."""
    if target.isdecimal():
        return target
    found = read_job(Path(target))
    if found is None:
        raise UsageError(f"{target!r} is no job id and no run directory with a job.json")
    return str(found["id"])


def recorded(root: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Every directory below `root` that has a job, newest first."""
    paths = sorted(root.glob("**/job.json"), key=lambda p: p.stat().st_mtime, reverse=True)
    found = [(path.parent, read_job(path.parent)) for path in paths]
    return [(directory, job) for directory, job in found if job]
