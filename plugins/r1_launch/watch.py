"""The ranks of one machine, watched: where their logs are, how they are stopped, who failed first.

The run directory is the first rank's to make, and it takes no folder that holds other things. So
the logs of a new run begin beside it and are renamed into it, with the files open.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from os import getpid, kill
from pathlib import Path
from typing import Any

from r1_launch.rank import LOGS, NOTES
from r1_launch.silence import Silence
from r1cli import Job, disk_errors, ui

POLL_SECONDS = 0.2
DIED = re.compile(r"rank\s*:\s*(\d+) .*\n\s*exitcode\s*:\s*(-\d+)")


def run(command: Sequence[str], environment: Mapping[str, str], job: Job) -> int:
    """Start the ranks, wait for their end, say what went wrong first; the job's exit code."""
    logs = Logs(job.directory)
    with tempfile.TemporaryDirectory(prefix="r1-ranks-") as folder:
        notes = Path(folder)
        silence = Silence(job.directory, notes)
        variables = {**environment, LOGS: str(logs.path.absolute()), NOTES: folder}
        # A group of its own: Ctrl-C reaches the ranks once, through here.
        agent = subprocess.Popen(command, env=variables, process_group=0)
        with _passed_on(notes, agent):
            while agent.poll() is None:
                time.sleep(POLL_SECONDS)
                logs.settle()
                silence.listen(logs.path)
        code, error = verdict(notes, agent.returncode, logs)
    logs.settle()
    if error:
        ui.say(error)
    logs.discard_unborn()
    return code


class Logs:
    """The folder `logs` of a run; under another name until the run directory is there."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "logs"
        self.path = self.home
        if not (directory / "run.json").exists():
            self.path = directory.with_name(f".{directory.name}.logs-{getpid()}")
        with disk_errors(directory):
            self.path.mkdir(parents=True, exist_ok=True)
        agent = self.path / "launcher.log"
        self._before = agent.stat().st_size if agent.exists() else 0

    def of_agent(self) -> str:
        """What torch's agent said, this time."""
        path = self.path / "launcher.log"
        return path.read_bytes()[self._before :].decode(errors="replace") if path.exists() else ""

    def settle(self) -> None:
        if self.path != self.home and (self.home.parent / "run.json").exists():
            with suppress(OSError):
                self.path.rename(self.home)
                self.path = self.home

    def discard_unborn(self) -> None:
        """Forget what was said on the way to a run that was refused."""
        if self.path != self.home:
            shutil.rmtree(self.path, ignore_errors=True)


def verdict(notes: Path, agent: int, logs: Logs) -> tuple[int, str]:
    """The job's exit code and its last line: the first error of any rank.

    A rank that a signal killed leaves no note; of it only torch's agent knows.
    """
    ends = [json.loads(path.read_text(encoding="utf-8")) for path in notes.glob("*.json")]
    noted = {end["rank"] for end in ends}
    for rank, number in DIED.findall(logs.of_agent()):
        name = _signal(-int(number))
        if int(rank) not in noted and name not in ("SIGTERM", "SIGINT"):
            what = f"{name}; was the memory used up?" if name == "SIGKILL" else name
            log = logs.home / f"rank-{rank}.log"
            return 1, f"error: rank {rank} was killed by {what} (its log: {log})"
    failed = sorted((end for end in ends if end["code"]), key=lambda end: end["time"])
    if not failed:
        last = (logs.of_agent().strip().splitlines() or ["it said nothing"])[-1]
        return agent, f"error: the ranks were not started, or lost: {last}" if agent else ""
    first: dict[str, Any] = failed[0]
    where = f" (traceback: {logs.home}/rank-{first['rank']}.log)" if first["code"] == 1 else ""
    return first["code"], (first["error"] or f"error: rank {first['rank']} exited") + where


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextmanager
def _passed_on(notes: Path, agent: subprocess.Popen[bytes]) -> Iterator[None]:
    """Hand SIGINT and SIGTERM to the ranks, which save and end; their agent then follows."""

    def hand_on(number: int, frame: Any) -> None:
        pids = [int(path.read_text()) for path in notes.glob("*.pid")]
        for pid in pids or [agent.pid]:
            with suppress(ProcessLookupError):
                kill(pid, number)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
