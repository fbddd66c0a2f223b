"""One run directory: what was asked for, where it came from, and all that happened.

    recipe.resolved.yaml   the recipe with every default          run.json   provenance and state
    metrics.jsonl          one row per logged step                log.txt    what was said
    rollouts/*.parquet     every completion with its rewards      checkpoints/checkpoint-N/
    eval/*.jsonl           every benchmark sample with its score  model/     the final policy

`files.py` says why none of them is ever half there.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from r1cli import provenance, source
from r1cli.errors import UsageError
from r1cli.files import append_row, disk_errors, read_rows, write_atomic
from r1cli.recipe import Recipe
from r1cli.recipe.difference import difference, learned
from r1cli.recipe_file import validate

RESOLVED = "recipe.resolved.yaml"

log = logging.getLogger(__name__)

UNBORN = (".lock", f".{RESOLVED}.partial")
"""What a run killed in its first moment may leave."""


class Run:
    """A run directory, held by one process at a time."""

    def __init__(self, directory: Path, recipe: Recipe) -> None:
        self.directory, self.recipe = directory, recipe
        self.emit: Callable[..., None] = lambda event, **values: None
        self.enough = ""  # why training should stop early, where it should
        self.measured: dict[str, float] = {}  # what the last checkpoint scored, for trackers
        self._lock = contextlib.ExitStack()

    @property
    def checkpoints(self) -> Path:
        return self.directory / "checkpoints"

    @property
    def model(self) -> Path:
        """Where the final policy is saved."""
        return self.directory / "model"

    @property
    def state(self) -> dict[str, Any]:
        """run.json: provenance, `status` and what the stages recorded."""
        path = self.directory / "run.json"
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}
        except (OSError, TypeError, ValueError) as error:
            raise UsageError(
                f"{path} is not a run's state: {error}; delete it, and the run goes on from its "
                "last checkpoint"
            ) from error

    def record(self, **values: Any) -> None:
        """Merge values into run.json."""
        text = json.dumps({**self.state, **values}, indent=2, default=str)
        write_atomic(self.directory / "run.json", text + "\n")

    def log_metrics(self, row: dict[str, Any]) -> None:
        append_row(self.directory / "metrics.jsonl", row)

    def metrics(self) -> list[dict[str, Any]]:
        return read_rows(self.directory / "metrics.jsonl")

    def forget_after(self, step: int, *, closing: str = "") -> None:
        """Drop what came past `step`, which the run goes on from: rollouts, and rows of metrics.

        `closing` is a key of the row that a run ends with, which is of that step, too.
        """
        path = self.directory / "metrics.jsonl"
        if path.exists():
            rows = [row for row in read_rows(path) if row.get("step", 0) <= step]
            kept = [row for row in rows if closing not in row]
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in kept]
            write_atomic(path, "".join(lines))
        for path in (self.directory / "rollouts").glob("step_*.parquet"):
            if int(path.name.split("_")[1].split(".")[0]) > step:
                path.unlink()

    @property
    def unfinished(self) -> Path:
        """Where a checkpoint is written, under its name, before it is moved to `checkpoints`."""
        return self.checkpoints / ".partial"

    def whole_checkpoints(self) -> list[Path]:
        """Every checkpoint with a trainer's state, the oldest first."""
        found = self.checkpoints.glob("checkpoint-*")
        whole = [path for path in found if _step(path) >= 0 and _is_whole(path)]
        return sorted(whole, key=_step)

    def last_checkpoint(self) -> Path | None:
        """The newest whole one; each that a kill left half written is told of."""
        whole = self.whole_checkpoints()
        for path in [*self.checkpoints.glob("checkpoint-*"), *self.unfinished.glob("*")]:
            if path not in whole and path.is_dir():
                log.warning("left out %s: it is not whole", path)
        return whole[-1] if whole else None

    @property
    def finished(self) -> bool:
        return self.state.get("status") == "finished"

    def hold(self) -> None:
        """Take the directory for this process."""
        with disk_errors(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
        self._lock.enter_context(_held(self.directory))

    def release(self) -> None:
        self._lock.close()


def _step(checkpoint: Path) -> int:
    number = checkpoint.name.split("-")[-1]
    return int(number) if number.isdigit() else -1


def _is_whole(checkpoint: Path) -> bool:
    """The trainer's state is written last."""
    return (checkpoint / "trainer_state.json").is_file()


def move_aside(directory: Path) -> None:
    """Rename an existing run or pipeline, keeping it, so that its name is free.

    What is neither stays. Raises UsageError for one that a process is still working in.
    """
    runs = [path.parent for depth in ("", "*/") for path in directory.glob(depth + RESOLVED)]
    if not runs:
        return
    with contextlib.ExitStack() as held:
        for path in runs:
            held.enter_context(_held(path))
        whole = directory.resolve()
        aside = f"{whole.name}.{time.strftime('%Y%m%d-%H%M%S')}"
        taken = len(list(whole.parent.glob(f"{aside}*")))
        whole.rename(whole.with_name(f"{aside}-{taken}" if taken else aside))


@contextlib.contextmanager
def _held(directory: Path) -> Iterator[None]:
    """The directory's lock; the kernel lets go of it when the process ends."""
    with disk_errors(directory), (directory / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{directory} is in use by another r1 process; wait for it or choose another --run"
            ) from None
        yield


def open_run(directory: Path, recipe: Recipe, *, resume: bool = True) -> Run:
    """The run at `directory`, new or to be gone on with; never one that learns something else.

    `resume=False` leaves the files untouched, for the other ranks of a launch.
    """
    run = Run(directory, recipe)
    if not resume:
        return run
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is a file, not a run directory; choose another --run")
    existing, now = directory / RESOLVED, recipe.model_dump(mode="json")
    before = None
    if existing.exists():  # validated, so that keys of a newer r1 have their defaults in it
        before = validate(Recipe, source.read(existing)).model_dump(mode="json")
        beside = _at_the_same_place(before, now, run)
        model = now["model"] if beside else before["model"]
        if changed := difference(learned({**before, "model": model}), learned(now)):
            raise UsageError(
                f"{directory} was made by a different recipe ({changed}); "
                "add --fresh to move it aside, or choose another --run"
            )
    elif directory.exists() and any(p.name not in UNBORN for p in directory.iterdir()):
        raise UsageError(f"{directory} exists and is no r1 run; choose another --run")
    run.hold()
    if before != now:
        write_atomic(existing, source.dump(now))
    if not run.state:
        run.record(**provenance.collect(recipe.seed), status="running", directory=str(directory))
    elif not run.finished:
        run.record(status="running", error=None, directory=str(directory))
    if before and (changed := difference(before, now)):
        log.info("%s goes on with %s", directory, changed)
        run.record(changed=[*run.state.get("changed", []), changed], directory=str(directory))
    return run


def _at_the_same_place(before: dict[str, Any], now: dict[str, Any], run: Run) -> bool:
    """Whether two recipes differ in no more of their model than how its path is said.

    Stages of a pipeline start from a folder beside their own, and a pipeline may be moved.
    """
    then = run.state.get("directory", run.directory)
    old, new = before["model"], now["model"]
    same_place = os.path.relpath(old["name"], then) == os.path.relpath(new["name"], run.directory)
    return same_place and bool({**old, "name": new["name"]} == new)


def list_runs(root: Path) -> list[Run]:
    """Every run below `root`, newest first, stages of pipelines included."""
    found = [path.parent for path in root.glob("**/run.json")]
    found.sort(key=lambda path: (path / "run.json").stat().st_mtime, reverse=True)
    runs = []
    for directory in found:
        try:
            run = Run(directory, validate(Recipe, source.read(directory / RESOLVED)))
            run.state  # noqa: B018 - raises where it is no run's
            runs.append(run)
        except UsageError as error:
            log.warning("left out %s: %s", directory, error)
    return runs
