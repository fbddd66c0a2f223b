"""What SLURM says of jobs: its programs asked, their answers read, their errors in one line."""

from __future__ import annotations

import getpass
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from r1cli import ProviderError, UsageError

SECONDS = 60
ENDED = (
    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL"),
    *("DEADLINE", "PREEMPTED", "REVOKED"),
)
OUT_OF_REACH = ("contact slurm controller", "timed out", "refused", "not respond", "communication")
FIELDS = "%i|%T|%D|%M|%r|%j|%k"
"""Job (of an array, with its task), state, nodes, time used, reason, name; the comment at the end,
which alone may hold a bar."""

COMMENT = "r1:"
"""Our jobs carry this and their directory as SLURM's comment."""


@dataclass(frozen=True)
class Queued:
    """A job as the controller knows it; `directory` is empty for one that r1 did not submit."""

    id: str
    state: str
    nodes: int
    elapsed: str
    reason: str
    name: str
    directory: str

    @property
    def active(self) -> bool:
        return self.state not in ENDED


def ask(*command: str, given: str = "") -> str:
    """What one of SLURM's programs answers; `given` is its stdin.

    Raises UsageError where it refuses, with its own words in one line, and ProviderError where it
    or the controller cannot be reached.
    """
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except FileNotFoundError:
        raise ProviderError(
            f"{command[0]} is not on PATH, so this machine cannot submit to SLURM; log in to the "
            "cluster, or leave --on away to run here"
        ) from None
    except subprocess.TimeoutExpired:
        raise ProviderError(f"{command[0]} does not answer within {SECONDS} s") from None
    if done.returncode:
        lines = [re.sub(r"^\w+: (error: )?", "", line) for line in done.stderr.splitlines()]
        words = "; ".join(line.strip() for line in lines if line.strip()) or "no reason given"
        gone = any(phrase in words.lower() for phrase in OUT_OF_REACH)
        raise (ProviderError if gone else UsageError)(f"{command[0]}: {words}")
    return done.stdout


def jobs() -> list[Queued]:
    """The user's jobs that the controller remembers: it forgets finished ones in some minutes."""
    found = ask("squeue", "--noheader", "--states=all", f"--user={user()}", f"--format={FIELDS}")
    return [_queued(line) for line in found.splitlines() if line.count("|") >= FIELDS.count("|")]


def user() -> str:
    return getpass.getuser()


def _queued(line: str) -> Queued:
    job, state, nodes, elapsed, reason, name, comment = line.strip().split("|", 6)
    directory = comment.removeprefix(COMMENT) if comment.startswith(COMMENT) else ""
    # An array that waits has a range as its task: 12_[3-7].
    return Queued(job, state, int(nodes), elapsed, reason, name, directory)


def job_of(queued: str) -> str:
    """The number of a job: 12 for 12, 12_3 and 12_[4-7]."""
    return queued.partition("_")[0]


def show(kind: str, name: str) -> dict[str, str]:
    """`scontrol show job|node NAME` as keys and values; values with blanks are cut at them."""
    words = ask("scontrol", "show", kind, "-o", name).split()
    return dict(word.split("=", 1) for word in words if "=" in word)


def gpus_of_a_node(partition: str | None) -> int | None:
    """The most GPUs that a node of a partition (None: of any) has; None where nothing says so."""
    where = [f"--partition={partition}"] if partition else []
    counts = [
        sum(int(n) for n in re.findall(r"gpu(?::[\w.-]*[a-zA-Z][\w.-]*)?:(\d+)", line))
        for line in ask("sinfo", "--noheader", "--format=%G", *where).splitlines()
    ]
    return max(counts, default=None)


def hostnames(nodes: str) -> Sequence[str]:
    """`n[1-2]` as n1, n2."""
    return ask("scontrol", "show", "hostnames", nodes).split()
