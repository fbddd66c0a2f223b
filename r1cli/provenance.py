"""Where numbers come from: command line, commit, versions, machine. Imports nothing heavy."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from typing import Any

PACKAGES = ("r1cli", "torch", "transformers", "trl", "accelerate", "datasets", "math-verify")


def collect(seed: int) -> dict[str, Any]:
    """Provenance for run.json."""
    return {
        "argv": sys.argv[1:],
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seed": seed,
        "git": git_commit(),
        "versions": versions(),
        "python": platform.python_version(),
        "host": platform.node(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
    }


def versions() -> dict[str, str]:
    """Installed versions of what decides the numbers, third-party plugins included."""
    plugins = {
        point.dist.name
        for point in metadata.entry_points(group="r1cli.plugins")
        if point.dist is not None
    }
    found = {}
    for name in (*PACKAGES, *sorted(plugins)):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """The commit of the working directory, with `+` when it has uncommitted changes."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + "+" if _git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*args: str) -> str:
    done = subprocess.run(("git", *args), capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()
