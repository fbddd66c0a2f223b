"""A run as plain lines, for logs and pipes: the first step, the last, and some between."""

from __future__ import annotations

from r1_monitor.pace import Pace, clock
from r1_monitor.reading import Reading
from r1cli import ui

MOST = 58
"""Lines between the first and the last, however long the run is."""


class Lines:
    """One compact line per logged step, at least `every` steps apart."""

    def __init__(self, title: str, pace: Pace, every: int = 1) -> None:
        self.title, self.pace, self.every = title, pace, every
        self._last: int | None = None
        self._bucket = -1
        self._held: str | None = None

    def logged(self, step: int, reading: Reading) -> None:
        line = self._line(step, reading)
        bucket = step * MOST // self.pace.total
        due = self._last is None or (step - self._last >= self.every and bucket > self._bucket)
        if due:
            ui.say(line)
            self._last, self._bucket, self._held = step, bucket, None
        else:
            self._held = line

    def stepped(self) -> None:
        """Nothing to say between logs."""

    def close(self) -> None:
        """The last logged step is always said."""
        if self._held:
            ui.say(self._held)
        self._held = None

    def _line(self, step: int, reading: Reading) -> str:
        parts = [f"{self.title} {step}/{self.pace.total}"]
        parts += [f"{item.label} {item.text}" for item in (*reading.outcome, *reading.health)]
        speed = self.pace.tokens_per_second
        if speed is not None:
            parts.append(f"{speed:,.0f} tokens/s")
        if step < self.pace.total and self.pace.to_go is not None:
            parts.append(f"{clock(self.pace.to_go)} to go")
        return "  ".join(parts)
