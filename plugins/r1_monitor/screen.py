"""A run on a terminal: one panel, redrawn in place, log lines scrolling above it."""

from __future__ import annotations

import atexit
import time
from itertools import zip_longest
from typing import Any

from r1_monitor.pace import Pace, clock
from r1_monitor.reading import Item, Reading, sparkline

REDRAW_SECONDS = 0.25


class Screen:
    """Drawn from the training thread: a drawing thread would be a hazard to forked workers."""

    def __init__(self, title: str, pace: Pace) -> None:
        from rich.console import Console
        from rich.live import Live

        self.title, self.pace = title, pace
        self.reading = Reading([], [])
        self.past: dict[str, list[float]] = {}
        self._drawn = 0.0
        self._live = Live(
            console=Console(stderr=True), auto_refresh=False, get_renderable=self._panel
        )
        self._live.start()
        atexit.register(self.close)

    def logged(self, step: int, reading: Reading) -> None:
        self.reading = reading
        for item in reading.outcome:
            self.past.setdefault(item.label, []).append(item.value)
        self._redraw()

    def stepped(self) -> None:
        self._redraw()

    def close(self) -> None:
        """Leave the last panel standing and give the terminal back. Safe to call twice."""
        atexit.unregister(self.close)
        self._live.stop()

    def _redraw(self) -> None:
        now = time.monotonic()
        if now - self._drawn >= REDRAW_SECONDS:
            self._drawn = now
            self._live.refresh()

    def _panel(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        for justify in ("left", "right", "left", "left", "right"):
            grid.add_column(justify=justify, no_wrap=True)
        health = list(self.reading.health)
        speed = self.pace.tokens_per_second
        if speed is not None:
            health.append(Item("tokens/s", speed, f"{speed:,.0f}"))
        for left, right in zip_longest(self.reading.outcome, health):
            course = sparkline(self.past[left.label]) if left else ""
            grid.add_row(
                Text(left.label if left else "", style="dim"),
                Text(left.text if left else "", style="bold"),
                Text(course, style="cyan"),
                Text(right.label if right else "", style="dim"),
                Text(right.text if right else ""),
            )
        return Group(self._progress(), grid)

    def _progress(self) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        pace = self.pace
        row = Table.grid(padding=(0, 2))
        row.add_row(
            Text(self.title, style="bold"),
            ProgressBar(total=pace.total, completed=pace.step, width=32),
            Text(f"{pace.step}/{pace.total}"),
            Text(f"{clock(pace.elapsed)}, {clock(pace.to_go)} to go", style="dim"),
        )
        return row
