"""How fast a reward is: samples per second in batches, and the wait for a single one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from r1cli.errors import UsageError
from r1cli.lab import golden
from r1cli.registry import Entry
from r1cli.scoring import BoundReward, Scorer
from r1cli.types import Completion, Prompt

BATCH = 64
SINGLES = 50


def measure(
    reward: BoundReward,
    completions: Sequence[Completion],
    prompts: Sequence[Prompt],
    columns: Mapping[str, Sequence[Any]],
    *,
    seconds: float = 3.0,
) -> list[dict[str, Any]]:
    """Rows of `pass`, samples, samples per second, and p50 and p95 of one call in milliseconds.

    `first` is every sample once in batches of 64, with nothing known yet: it loads what the reward
    needs, once per worker. `again` is the same batches until `seconds` are over, where what is
    known already may answer; `single`, one sample per call.
    """
    total = len(completions)

    def call(start: int, size: int) -> float:
        part = slice(start, start + size)
        data = {name: values[part] for name, values in columns.items()}
        before = time.perf_counter()
        scorer.score(completions[part], prompts[part], data)
        return time.perf_counter() - before

    with Scorer([reward]) as scorer:
        scorer.score([Completion("")], prompts[:1], {n: v[:1] for n, v in columns.items()})
        first = [call(start, BATCH) for start in range(0, total, BATCH)]
        again: list[float] = []
        while sum(again) < seconds:
            again += [call(start, BATCH) for start in range(0, total, BATCH)]
        single = [call(start, 1) for start in range(min(total, SINGLES))]
    return [
        _row("first", total, first),
        _row("again", total * len(again) // len(first), again),
        _row("single", len(single), single),
    ]


def repeated(entry: Entry) -> tuple[list[Completion], list[Prompt], dict[str, list[Any]]]:
    """The golden cases that take no arguments, over and over until they fill eight batches."""
    cases = [case for case in golden.cases(entry) if not case.args]
    if not cases:
        raise UsageError(f"reward {entry.name!r} ships no golden cases to time; give a FILE")
    names = dict.fromkeys(name for case in cases for name in case.columns)
    whole = [(case, text) for case in cases for text in case.completions]
    picked = [whole[i % len(whole)] for i in range(max(len(whole), 8 * BATCH))]
    return (
        [text for _, text in picked],
        [case.prompt for case, _ in picked],
        {name: [case.columns.get(name) for case, _ in picked] for name in names},
    )


def _row(name: str, samples: int, taken: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(taken)
    return {
        "pass": name,
        "samples": samples,
        "samples_per_second": round(samples / max(sum(taken), 1e-9)),
        "p50_ms": 1000 * ordered[len(ordered) // 2],
        "p95_ms": 1000 * ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
    }
