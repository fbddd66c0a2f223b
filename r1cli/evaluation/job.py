"""One benchmark as a job of its own: its folder, the process that submits it, how it ended.

The folder holds `recipe.yaml`, `log.txt`, `ended` (the process's exit code), what the launcher
writes, the samples in `eval/`, and `model/`: hard links to a checkpoint's weights, which outlive
the checkpoint and cost nothing while it is there.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from r1cli.errors import R1Error, UsageError
from r1cli.files import write_atomic
from r1cli.plugins import Plugins
from r1cli.publishing.pieces import LOADED
from r1cli.recipe import Component

log = logging.getLogger(__name__)

Row = dict[str, Any]
"""A job in `benchmark_jobs` of run.json: `benchmark`, `step` (None for the final policy), `on`,
`folder` below the run's, `host` and `pid` of the process that hands it to the launcher."""

RANK = (
    *("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    *("GROUP_RANK", "GROUP_WORLD_SIZE", "ROLE_RANK", "ROLE_WORLD_SIZE", "ROLE_NAME"),
    *("TORCHELASTIC_", "PET_", "ACCELERATE_", "FSDP_", "R1_LAUNCHED", "R1_ON_NODE"),
)
"""Beginnings of the variables that make a process a rank of the training."""

DETACHED = '("$@" >"$0/log.txt" 2>&1 </dev/null; echo $? >"$0/ended") >/dev/null & echo $!'


def new_folder(jobs: Path, benchmark: str, step: int | None) -> Path:
    """A folder below `jobs`; an earlier try may have left one of the same name."""
    name = benchmark.replace(":", "-").replace("/", "-")
    name += "-final" if step is None else f"-step-{step}"
    count = len([*jobs.glob(name), *jobs.glob(f"{name}.*")])
    folder = jobs / (f"{name}.{count + 1}" if count else name)
    folder.mkdir(parents=True)
    return folder


def linked(checkpoint: Path, folder: Path) -> Path:
    """What loading the model reads, under links of its own; copied where there can be none."""
    folder.mkdir()
    for path in {path for pattern in LOADED for path in checkpoint.glob(pattern)}:
        try:
            os.link(path, folder / path.name)
        except OSError:
            shutil.copy2(path, folder / path.name)
    if not any(folder.iterdir()):
        raise UsageError(f"{checkpoint} holds no model that transformers loads")
    return folder


def start(folder: Path, recipe: str, model: Path, records: Path, launch: Component) -> int:
    """Hand `r1 eval` on the one benchmark of `recipe` to a launcher; the process that does it.

    It is a process of its own, so that a launcher may wait for its job, and nothing that goes wrong
    there reaches the training.
    """
    place = folder.resolve()
    write_atomic(place / "recipe.yaml", recipe)
    words = [sys.executable, "-m", "r1cli", "eval", "--recipe", str(place / "recipe.yaml")]
    words += ["--model", str(model.resolve()), "--out", str(place)]
    words += ["--records", str(records.resolve()), "--on", launch.name]
    for name, value in launch.args.items():
        words += ["--launch", f"{name}={json.dumps(value)}"]
    started = subprocess.run(
        ["sh", "-c", DETACHED, str(place), *words],
        env={k: v for k, v in os.environ.items() if not k.startswith(RANK)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        start_new_session=True,  # the terminal's Ctrl-C is meant for the training
    )
    return int(started.stdout)


def problem(job: Row, folder: Path, plugins: Plugins) -> str:
    """Why no score will come of a job; "" where one may."""
    gone = job["host"] == socket.gethostname() and _is_gone(job["pid"])  # before looking for why
    code = (folder / "ended").read_text().strip() if (folder / "ended").is_file() else ""
    if not code:
        return f"its process was killed; see {folder}/log.txt" if gone else ""
    if code != "0":
        return f"exit code {code}: {_last_line(folder / 'log.txt')}"
    queue = _queue(job, plugins)
    if queue is None:  # it waited for the job
        return f"it left no score; see {folder}/log.txt"
    try:
        known = queue.find(str(folder), folder)
    except R1Error as error:
        log.warning("benchmark %s: %s", job["benchmark"], error)
        return ""
    logs = shlex.join(["r1", "jobs", "logs", str(folder)])
    return "" if known["active"] else f"job {known['job']} is {known['state']}; see: {logs}"


def cancel(job: Row, folder: Path, plugins: Plugins) -> None:
    """Take a job out of its launcher's queue, where it has one and the job has not ended.

    Raises R1Error where the queue cannot be asked or does not know the job.
    """
    queue = _queue(job, plugins)
    if queue is None:
        return
    known = queue.find(str(folder), folder)
    if known["active"]:
        queue.cancel(known["job"])


def scores(folder: Path) -> list[Row]:
    """The scores that a job has written."""
    found = []
    for path in (folder / "eval").glob("*.json"):
        try:
            found.append(json.loads(path.read_text(encoding="utf-8"))["score"])
        except (OSError, ValueError, KeyError):
            continue
    return [score for score in found if score]


def _queue(job: Row, plugins: Plugins) -> Any:
    """Where the launcher keeps jobs; None where it waits for them."""
    return getattr(plugins["launchers"].get(job["on"]).load()(), "queue", None)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return (lines or ["nothing was said"])[-1].removeprefix("error: ")[:300]
