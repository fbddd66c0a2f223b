"""Every hook, nothing else. docs/hooks.md repeats each signature; a test compares them.

A registration hook receives `register(name, target, *, help="")` and returns nothing. `target` is
the thing itself or "module:attr", which is imported when the name is first used. Names match
`[a-z][a-z0-9_]*`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

if TYPE_CHECKING:
    from r1cli.run import Run

hookspec = pluggy.HookspecMarker("r1cli")
hookimpl = pluggy.HookimplMarker("r1cli")


class Register(Protocol):
    def __call__(self, name: str, target: Any, *, help: str = "") -> None: ...


# -- registration: called once, when plugins are loaded --------------------------------------------


@hookspec
def register_rewards(register: Register) -> None:
    """Rewards: functions from completions and dataset columns to floats."""


@hookspec
def register_code_providers(register: Register) -> None:
    """Code providers: functions `(**args) -> CodeProvider` that run programs."""


@hookspec
def register_datasets(register: Register) -> None:
    """Datasets: functions `(**args) -> rows`."""


@hookspec
def register_models(register: Register) -> None:
    """Model sources: functions `(**args) -> Path` that build or fetch a model directory."""


@hookspec
def register_benchmarks(register: Register) -> None:
    """Benchmarks: `r1cli.Benchmark` objects."""


@hookspec
def register_trainers(register: Register) -> None:
    """Trainers: functions `(recipe, run, *, dataset, rewards, callbacks) -> Path`.

    One that names `held_out` is given the rows to evaluate, or None.
    """


@hookspec
def register_engines(register: Register) -> None:
    """Engines: functions `(*, model, **args) -> Engine`."""


@hookspec
def register_launchers(register: Register) -> None:
    """Launchers: functions `(**args) -> Launcher`."""


@hookspec
def register_callbacks(register: Register) -> None:
    """Callbacks: functions `(run, **args) -> transformers.TrainerCallback`."""


# -- events: called while a run goes on; an error in one is reported and never stops the run -------


@hookspec
def run_started(run: Run) -> None:
    """The run directory exists and training is about to start."""


@hookspec
def checkpoint_saved(run: Run, path: Path, step: int) -> None:
    """A checkpoint was written whole to `path` at optimizer step `step`."""


@hookspec
def scores_came(run: Run) -> None:
    """Benchmarks that ran as jobs of their own were scored after the run had ended."""


@hookspec
def pipeline_finished(runs: list[Run], directory: Path) -> None:
    """Every stage of a pipeline is trained and measured; `directory` holds them all."""


@hookspec
def run_finished(run: Run, error: BaseException | None) -> None:
    """The run ended: `error` is None on success, else what stopped it."""
