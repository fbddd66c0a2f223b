"""The callback `console`: training as it goes, drawn on a terminal, in plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from r1_monitor.lines import Lines
from r1_monitor.pace import Pace
from r1_monitor.reading import number, read
from r1_monitor.screen import Screen
from r1cli import Run, UsageError

if TYPE_CHECKING:
    from transformers import TrainerCallback

# Trainers tell their callbacks of a good end only; the event run_finished tells of every end.
_open: WeakKeyDictionary[Run, Screen | Lines] = WeakKeyDictionary()


def console(run: Run, *, every: int = 1) -> TrainerCallback:
    """Show progress, rewards, length, speed; in plain lines where there is no terminal.

    Plain lines are at least `every` steps apart, and 60 at most.
    """
    from transformers import TrainerCallback

    if every < 1:
        raise UsageError(f"callback 'console': every = {every}; give 1 or more")

    class Console(TrainerCallback):
        pace: Pace
        view: Screen | Lines | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if not state.is_world_process_zero:
                return
            close(run)
            self.pace = Pace(state.global_step, state.max_steps)
            title = str(run.recipe.trainer.name or run.directory.name)
            self.view = Screen(title, self.pace) if _drawable() else Lines(title, self.pace, every)
            _open[run] = self.view

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.view:
                self.pace.at(state.global_step)
                self.view.stepped()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            reading = read(logs or {})
            if self.view and reading.outcome:
                self.pace.at(state.global_step)
                tokens = logs.get("num_tokens", state.num_input_tokens_seen or None)
                self.pace.counted(number(tokens))
                self.view.logged(state.global_step, reading)

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            close(run)
            self.view = None

    return Console()


def close(run: Run) -> None:
    """End a run's view, if it has one, and give the terminal back."""
    view = _open.pop(run, None)
    if view:
        view.close()


def _drawable() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
