"""The Piston workers that run as Slurm jobs called `piston-worker-PORT`."""

from __future__ import annotations

import re
import subprocess

from r1cli import ProviderError

SECONDS = 30
JOB = re.compile(r"piston-worker-(\d{1,5}) (\S+)")


def slurm_workers() -> list[str]:
    """The URLs of those that run now. Raises ProviderError where squeue cannot be asked."""
    # %B is the node that the batch script runs on.
    command = ["squeue", "--noheader", "--states=RUNNING", "--format=%j %B"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise ProviderError(
            "squeue is not installed, so endpoints cannot be 'slurm'; list their URLs instead"
        ) from None
    except subprocess.TimeoutExpired:
        raise ProviderError(f"squeue does not answer within {SECONDS} s") from None
    if done.returncode:
        raise ProviderError(f"squeue fails: {' '.join(done.stderr.split())[:200]}")
    found = [JOB.fullmatch(line.strip()) for line in done.stdout.splitlines()]
    return sorted({f"http://{job[2]}:{job[1]}" for job in found if job})
