"""Our jobs: what the queue knows now, and what run directories keep of those that ended."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from r1_launch import queue
from r1_launch.records import exit_code, read_job, recorded
from r1cli import ProviderError, UsageError

ID = re.compile(r"\d+(_\d+)?")

Row = dict[str, Any]
"""job, state, active, exit, nodes, elapsed, reason, name, directory, log."""


class Jobs:
    """What `r1 jobs` asks."""

    def list(self, root: Path) -> list[Row]:
        """Jobs of r1 in the queue, then those that it has forgotten, the newest first."""
        try:
            queued = [job for job in queue.jobs() if job.directory]
        except ProviderError:
            queued = []
            if not recorded(root):
                raise
        rows = [_queued(job) for job in sorted(queued, key=_newest, reverse=True)]
        known = {queue.job_of(job.id) for job in queued}
        old = [_ended(at, job) for at, job in recorded(root) if job["id"] not in known]
        return [*rows, *old]

    def find(self, target: str, root: Path) -> Row:
        """One job by its id or its run directory; 12_3 is task 3 of an array, 12 stands for all."""
        number, _, task = target.partition("_") if ID.fullmatch(target) else ("", "", "")
        job = None if number else read_job(Path(target))
        if job:
            number = str(job["id"])
        elif not number:
            raise UsageError(f"{target!r} is no job id and no run directory with a job.json")
        found = [q for q in queue.jobs() if queue.job_of(q.id) == number]
        found = [q for q in found if q.id == target] or found
        # One that goes on stands for all, then one that went wrong.
        found.sort(key=lambda q: (q.active, q.state != "COMPLETED"), reverse=True)
        if found:
            row = _queued(found[0]) | {"job": target if task else number}
            shown = found[0].id.partition("_")[2]
            task = task or (shown if shown.isdecimal() else "")
        elif job:
            row = _ended(Path(target), job)
        else:
            known = [(at, old) for at, old in recorded(root) if str(old["id"]) == number]
            if not known:
                raise UsageError(f"no job {number} in the queue or in {root}; see: r1 jobs list")
            row = _ended(*known[0], task)
        return row | {"log": row["log"].replace("%a", task or "0")}

    def cancel(self, job: str) -> None:
        queue.ask("scancel", job)


def _newest(job: queue.Queued) -> int:
    return int(queue.job_of(job.id))


def _queued(job: queue.Queued) -> Row:
    directory = Path(job.directory) if job.directory else None
    known = (read_job(directory) if directory else None) or {}
    number = queue.job_of(job.id)
    ours = known.get("id") == number
    return {
        "job": job.id,
        "state": job.state,
        "active": job.active,
        "exit": exit_code(directory, job.id) if directory and not job.active else None,
        "nodes": job.nodes,
        "elapsed": job.elapsed,
        "reason": job.reason if job.reason != "None" else "",
        "name": job.name,
        "directory": job.directory,
        "log": known["log"] if ours else queue.show("job", number).get("StdOut", ""),
    }


def _ended(directory: Path, job: dict[str, Any], task: str = "") -> Row:
    """A job, or a task of it, that the queue has forgotten: its script said how it ended, or was
    killed."""
    name = f"{job['id']}_{task}" if task else str(job["id"])
    code = exit_code(directory, name)
    return {
        "job": name,
        "state": "KILLED" if code is None else "FAILED" if code else "COMPLETED",
        "active": False,
        "exit": code,
        "nodes": job["nodes"],
        "elapsed": "",
        "reason": "",
        "name": job["name"],
        "directory": str(directory),
        "log": job["log"],
    }
