"""How fast a run goes: time to go and tokens per second, over the last few steps."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW = 20


class Pace:
    """Told of every step and token count as they come. The first step is slower, so it ages out."""

    def __init__(self, step: int, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.step, self.total, self._clock = step, max(total, 1), clock
        self.began = clock()
        self._steps = deque([(self.began, step)], maxlen=WINDOW + 1)
        # A resumed run counts on from a number that is not known before the first log.
        start = [(self.began, 0.0)] if step == 0 else []
        self._tokens: deque[tuple[float, float]] = deque(start, maxlen=WINDOW + 1)

    def at(self, step: int) -> None:
        if step > self.step:
            self.step = step
            self._steps.append((self._clock(), step))

    def counted(self, tokens: float | None) -> None:
        if tokens is not None:
            self._tokens.append((self._clock(), tokens))

    @property
    def elapsed(self) -> float:
        return self._clock() - self.began

    @property
    def to_go(self) -> float | None:
        """Seconds until the last step, or None before the first step is done."""
        (since, first), (now, last) = self._steps[0], self._steps[-1]
        return (now - since) / (last - first) * (self.total - last) if last > first else None

    @property
    def tokens_per_second(self) -> float | None:
        if len(self._tokens) < 2:
            return None
        (since, before), (now, after) = self._tokens[0], self._tokens[-1]
        return (after - before) / (now - since) if now > since else None


def clock(seconds: float | None) -> str:
    """`1:02:03` or `2:03`."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
