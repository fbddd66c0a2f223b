"""Ray: shards of a command as tasks of a cluster, then the command itself for what they make.

A shard puts its samples into the attempt store, which every node sees: it may run anywhere, and
again after its node is lost, and then draws only what is missing. The command that follows finds
all of it there and writes what it would have written without a cluster. A command that keeps no
work there (decontaminate, score) runs where it is, and its batches are the tasks: `Ray.pool`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from r1_launch import shard
from r1_launch.cluster import alive, connected
from r1_launch.ray_pool import RayPool, ray_pool
from r1cli import Job, ProviderError, UsageError, disk_errors, ui

SHARDED = (("generate",), ("data", "pass-rate"))
"""The commands that take --shard and keep what they sample in the attempt store."""
FINAL = (UsageError.exit_code, 3, 4)
"""Exit codes of what would go wrong anywhere: arguments, a package, a plugin."""
SHARDS = 8
"""Unless the launcher is told how many."""
SECONDS = 1.0
"""Between two looks at the logs."""


def ray(
    *,
    shards: int | None = None,
    cpus: float = 1,
    gpus: float = 0,
    address: str = "",
    retries: int = 2,
) -> Ray:
    """A launcher on a Ray cluster, for what it can take apart.

    generate and data pass-rate go there in shards, data decontaminate and reward score in batches.

    Args:
        shards: into how many parts the rows go, 8 unless given; as many run as there is room for.
        cpus: cores that a shard or batch is given.
        gpus: GPUs that it is given; half a one for two on each.
        address: of the cluster: HOST:PORT, ray://HOST:PORT, auto for the one of this machine. By
            default RAY_ADDRESS, then the one of this machine, then one that is started for this.
        retries: how often one is started again that failed or was lost with its node.
    """
    least = {"shards": (shards, 1), "retries": (retries, 0), "cpus": (cpus, 0), "gpus": (gpus, 0)}
    for name, (value, bound) in least.items():
        if value is not None and value < bound:
            raise UsageError(f"launcher 'ray': {name} = {value:g} must be {bound} or more")
    if gpus > 1 and gpus != int(gpus):
        raise UsageError(f"launcher 'ray': gpus = {gpus:g} must be a whole number or less than 1")
    return Ray(shards, {"CPU": cpus, "GPU": gpus}, address, retries)


class Ray:
    def __init__(
        self, shards: int | None, room: dict[str, float], address: str, retries: int
    ) -> None:
        self._asked, self.shards = shards, shards or SHARDS
        self.room, self.address, self.retries = room, address, retries

    def pool(
        self, function: Callable[[Any, Any], Any], shared: Any
    ) -> AbstractContextManager[RayPool]:
        """The cluster for batches of this command. Raises UsageError where shards are asked for."""
        if self._asked:
            raise UsageError(
                f"launcher 'ray': shards = {self._asked} is for commands with --shard; this one "
                "sends its rows in batches, as many at a time as there is room for"
            )
        room, address, retries = self.room, self.address, self.retries
        return ray_pool(function, shared, room=room, address=address, retries=retries)

    def command(self, job: Job) -> list[str]:
        """What the first of the shards runs; nothing is started."""
        return [sys.executable, "-m", "r1_launch.shard", *self._argv(job, 0)]

    def submit(self, job: Job) -> int:
        """Run all shards, then the whole, and return its exit code, or that of a failed shard."""
        self.check(job)
        folder = job.directory.resolve()
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with connected(self.address, self.room, "shard"):
            code = self._run(job, folder)
        if code:
            return code
        return subprocess.run([sys.executable, "-m", "r1cli", *job.argv], check=False).returncode

    def check(self, job: Job) -> None:
        """Raise what `submit` would, before anything is built."""
        self._argv(job, 0)

    def _argv(self, job: Job, number: int) -> list[str]:
        if not any(tuple(job.argv[: len(words)]) == words for words in SHARDED):
            known = " and ".join("r1 " + " ".join(words) for words in SHARDED)
            raise UsageError(
                f"launcher 'ray' runs {known}, which have shards; not r1 {job.argv[0]}"
            )
        if "--shard" in job.argv:
            raise UsageError("--on ray gives every shard its share; leave --shard away")
        return [*job.argv, "--shard", f"{number}/{self.shards}"]

    def _run(self, job: Job, folder: Path) -> int:
        """Run the shards to their ends; 0, or the exit code of the first one that is given up."""
        import ray

        task = ray.remote(shard.run).options(
            num_cpus=self.room["CPU"], num_gpus=self.room["GPU"], max_retries=0
        )
        logs = Logs([folder / f"shard-{number}.log" for number in range(self.shards)])
        environment = dict(os.environ)

        def start(number: int) -> Any:
            log = str(logs.paths[number])
            return task.remote(self._argv(job, number), str(Path.cwd()), log, environment)

        running = {start(number): number for number in range(self.shards)}
        tries: Counter[int] = Counter()
        ui.say(f"{self.shards} shards on {len(alive())} nodes; their logs: {folder}")
        try:
            while running:
                ended, _ = ray.wait(list(running), timeout=SECONDS)
                logs.show()
                for ref in ended:
                    number = running.pop(ref)
                    code, what = _end(ref)
                    tries[number] += 1
                    if code == 0:
                        ui.say(f"shard {number}: {what}; {len(running)} to go")
                    elif code in FINAL or tries[number] > self.retries:
                        ui.say(
                            f"error: shard {number} of {self.shards}: {what}, try "
                            f"{tries[number]}: {logs.last(number)} (its log: "
                            f"{logs.paths[number]}); what was sampled is kept"
                        )
                        return code
                    else:
                        ui.say(f"shard {number}: {what}; it is started again")
                        running[start(number)] = number
        finally:
            _cancel(list(running))
        return 0


class Logs:
    """What the shards say, as it comes, each line with the shard's number."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        for path in paths:
            path.unlink(missing_ok=True)
        self._shown = [0] * len(paths)

    def show(self) -> None:
        """Say the whole lines that came since."""
        for number, path in enumerate(self.paths):
            if not path.exists():
                continue
            with path.open("rb") as file:
                file.seek(self._shown[number])
                text = file.read()
            text = text[: text.rfind(b"\n") + 1]
            self._shown[number] += len(text)
            for line in text.decode(errors="replace").splitlines():
                ui.say(f"shard {number}: {line}")

    def last(self, number: int) -> str:
        """The last line of a shard, which says why it ended."""
        path = self.paths[number]
        lines = path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []
        return lines[-1] if lines else "it said nothing"


def _end(ref: Any) -> tuple[int, str]:
    """How a shard ended: an exit code, and what there is to say of it."""
    import ray

    try:
        code, node = ray.get(ref)
    except ray.exceptions.RayTaskError as error:  # it was not even started
        raise error.cause from None
    except ray.exceptions.RayError as error:
        return ProviderError.exit_code, f"lost with its worker ({type(error).__name__})"
    if code < 0:
        return 128 - code, f"killed by {signal.Signals(-code).name} on {node}"
    return code, f"ended with exit code {code} on {node}" if code else f"done on {node}"


def _cancel(running: list[Any]) -> None:
    """Stop what runs, and wait until it has kept what it has."""
    import ray

    for ref in running:
        ray.cancel(ref)
    if running:
        ray.wait(running, num_returns=len(running), timeout=shard.GRACE)
