"""What a run directory keeps of its job: job.json as submitted, job.ended* as the script ended."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from r1cli import UsageError


def read_job(directory: Path) -> dict[str, Any] | None:
    """The job submitted for a run directory last: id, name, nodes, log, command, submitted."""
    path = directory / "job.json"
    try:
        job = dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path} is not a job of r1: {error}") from error
    if lacks := [key for key in ("id", "name", "nodes", "log") if key not in job]:
        raise UsageError(f"{path} is not a job of r1: it lacks {', '.join(lacks)}")
    return job


def exit_code(directory: Path, job: str) -> int | None:
    """How the script of that job ended; None while it runs, or where it was killed.

    Of an array (12; one task of it is 12_3) the first that is not 0, and 0 once all are through.
    """
    number, _, task = job.partition("_")
    ended, tasks = [], 1
    for path in sorted(directory.glob(f"job.ended.{task}" if task else "job.ended*")):
        try:
            of, code, _, *count = path.read_text(encoding="utf-8").split()
        except (OSError, ValueError):
            continue
        if of == number:
            ended.append(int(code))
            tasks = int(count[0]) if count and not task else 1
    return next((code for code in ended if code), 0 if len(ended) >= tasks else None)


def job_of_run(target: str) -> str:
    """The job id that a run directory or a job id means."""
    if target.isdecimal():
        return target
    found = read_job(Path(target))
    if found is None:
        raise UsageError(f"{target!r} is no job id and no run directory with a job.json")
    return str(found["id"])


def recorded(root: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Every directory below `root` that has a job, newest first; a file of others is left out."""
    found = []
    for path in sorted(root.glob("**/job.json"), key=lambda p: p.stat().st_mtime, reverse=True):
        with suppress(UsageError):
            found.append((path.parent, read_job(path.parent)))
    return [(directory, job) for directory, job in found if job]
