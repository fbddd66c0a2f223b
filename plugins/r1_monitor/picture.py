"""A picture of the reinforcement stages for the terminal, at the end of a pipeline."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

from r1_monitor.series import Series, outcomes, reinforced
from r1cli import Run, ui

WIDTH, HEIGHT = 70, 15
INSTALL = "to see the curves here: pip install 'r1cli[train]'"


def show(runs: Sequence[Run]) -> None:
    """Accuracy, reward and completion length over steps, on stderr."""
    stages = [(run.directory.name, rows) for run in runs if reinforced(rows := run.metrics())]
    if not stages:
        return
    try:
        import plotext  # noqa: F401
    except (ImportError, OSError):  # its compiled part may not load
        ui.say(INSTALL)
        return
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    columns = shutil.get_terminal_size((80, 24)).columns if sys.stderr.isatty() else 80
    for name, rows in stages:
        pictures = [
            draw(f"{name}: {one.label}, moving average", one, colour=colour)
            for one in outcomes(rows)
        ]
        fitting = max(1, columns // (WIDTH + 2))
        for first in range(0, len(pictures), fitting):
            ui.say(beside(pictures[first : first + fitting]) + "\n")


def draw(title: str, curve: Series, *, colour: bool = False) -> str:
    """One curve as text, with its axis labelled; without colour codes unless asked for."""
    import plotext

    plotext.terminal.limit(False, False)
    figure = plotext.figure
    figure.clear()
    figure.theme("simple")
    figure.plot_size(WIDTH, HEIGHT)
    figure.title(title)
    figure.label("step", "x")
    first, last = curve.steps[0], curve.steps[-1]
    figure.ruler("x").ticks(sorted({first + (last - first) * part // 5 for part in range(6)}))
    figure.draw(figure.signal(curve.steps, curve.smooth(), marker="braille").lines())
    text = figure.build().string()
    figure.clear()
    if not colour:
        text = plotext.uncolorize(text)
    return str(text).strip("\n")


def beside(pictures: Sequence[str]) -> str:
    """Pictures of one height, side by side: every line of them is padded to their width."""
    rows = zip(*(picture.split("\n") for picture in pictures), strict=True)
    return "\n".join("  ".join(row).rstrip() for row in rows)
