"""How long a reward takes and how its calls end, in a few numbers."""

from __future__ import annotations

import math
from collections import Counter
from threading import Lock
from typing import Any

STEP = math.log(1.25)  # the width of a histogram's bucket: quantiles are at most 25 % too high


class Meter:
    """Counts of one reward since the last `report(reset=True)`. Used from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._clear()

    def _clear(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._max = self._busy = 0.0
        self._counts: Counter[str] = Counter()

    def timed(self, samples: int, seconds: float) -> None:
        """One call judged `samples` in `seconds`."""
        each = seconds / max(samples, 1)
        with self._lock:
            self._buckets[math.ceil(math.log(max(each, 1e-7)) / STEP)] += samples
            self._max = max(self._max, each)

    def batch(self, statuses: Counter[str], judged: int, seconds: float) -> None:
        """A batch ended: samples by status, how many were judged anew, the wall-clock time."""
        with self._lock:
            self._counts.update(statuses)
            self._counts["judged"] += judged
            self._busy += seconds

    def report(self, *, reset: bool = False) -> dict[str, Any]:
        """Seconds per sample p50, p95 and max; samples per second; shares of 0..1."""
        with self._lock:
            ends = ("score", "not_applicable", "failed")
            samples = sum(self._counts[end] for end in ends)
            shares = max(samples, 1)
            report = {
                "samples": samples,
                "seconds_p50": self._quantile(0.5),
                "seconds_p95": self._quantile(0.95),
                "seconds_max": self._max,
                "samples_per_second": samples / self._busy if self._busy else 0.0,
                "failed": self._counts["failed"] / shares,
                "not_applicable": self._counts["not_applicable"] / shares,
                "known": 1 - self._counts["judged"] / shares if samples else 0.0,
            }
            if reset:
                self._clear()
            return report

    def _quantile(self, share: float) -> float:
        left = share * sum(self._buckets.values())
        for bucket in sorted(self._buckets):
            left -= self._buckets[bucket]
            if left <= 0:
                return min(math.exp(bucket * STEP), self._max)
        return 0.0
