"""From judged samples to a benchmark's number and all that belongs beside it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from r1cli import stats
from r1cli.errors import ProviderError, UsageError

log = logging.getLogger(__name__)

Sample = dict[str, Any]
"""One row of `eval/*.jsonl`: `problem`, `sample`, `hash`, `prompt`, `completion`, `prefill`,
`tokens`, `truncated`, `score`, `failed`, `gold`, `measures`; `answer` where the scorer tells it."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval over the problems."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        low, high, _ = stats.interval([[value] for value in values])
        return cls(fmean(values), low, high)


@dataclass(frozen=True)
class Score:
    """A benchmark's number. Shares and scores are in 0..1, `interval` names how it was made.

    `pass_at` maps k to pass@k, `majority` is maj@n; `unparseable` is the share of samples in which
    the scorer finds no answer, None where it does not tell. `not_applicable` counts problems
    without a readable gold, `failed` samples that the scorer failed on; neither is in the score.
    """

    benchmark: str
    label: str
    spec: str
    problems: int
    samples: int
    mean: float
    low: float
    high: float
    interval: str
    tokens: float
    truncated: float
    unparseable: float | None
    not_applicable: int
    failed: int
    seconds: float
    majority: Estimate | None = None
    pass_at: dict[str, Estimate] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def summarise(
    samples: Sequence[Sample],
    *,
    name: str,
    spec: str,
    problems: int,
    greedy: bool,
    votes: bool,
    ks: Sequence[int] = (),
    seconds: float = 0.0,
) -> Score:
    """The score of all samples of a benchmark.

    Raises ProviderError where none could be judged for broken infrastructure, UsageError where none
    has a gold answer or a k of pass@k is more than there are samples.
    """
    groups: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample["problem"]].append(sample)
    judged = [[s for s in group if s["score"] is not None] for group in groups.values()]
    kept = [group for group in judged if group]
    _refuse_nothing(name, samples, bool(kept))
    scores = [[s["score"] for s in group] for group in kept]
    each = max(map(len, groups.values()))
    least = min(map(len, scores))
    for k in ks:
        if k > least:
            raise UsageError(f"pass@{k} of {name!r} needs {k} samples each; there are {least}")
    low, high, method = stats.interval(scores)
    told = [s for s in samples if "answer" in s]
    named = list(dict.fromkeys(key for s in samples for key in s["measures"]))
    return Score(
        benchmark=name,
        label="greedy" if greedy else f"avg@{each}",
        spec=spec,
        problems=problems,
        samples=each,
        mean=stats.avg_at_n(scores),
        low=low,
        high=high,
        interval=method,
        tokens=fmean(s["tokens"] for s in samples),
        truncated=fmean(bool(s["truncated"]) for s in samples),
        unparseable=fmean(s["answer"] is None for s in told) if told else None,
        not_applicable=sum(
            not any(s["score"] is not None or s["failed"] for s in group)
            for group in groups.values()
        ),
        failed=sum(bool(s["failed"]) for s in samples),
        seconds=seconds,
        majority=_majority(kept) if votes and told and each > 1 else None,
        pass_at={str(k): _pass_at(scores, k) for k in ks},
        measures={key: mean for key in named if (mean := _mean(samples, key)) is not None},
    )


def _majority(groups: Sequence[Sequence[Sample]]) -> Estimate:
    return Estimate.of(
        [stats.majority([s["answer"] for s in g], [s["score"] for s in g]) for g in groups]
    )


def _pass_at(scores: Sequence[Sequence[float]], k: int) -> Estimate:
    """A sample is right where its score is 1: part of the tests passed is not a pass."""
    return Estimate.of([stats.pass_at_k(sum(s >= 1 for s in g), len(g), k) for g in scores])


def _mean(samples: Sequence[Sample], measure: str) -> float | None:
    values = [v for s in samples if (v := s["measures"].get(measure)) is not None]
    return fmean(values) if values else None


def _refuse_nothing(name: str, samples: Sequence[Sample], any_judged: bool) -> None:
    failed = [sample["failed"] for sample in samples if sample["failed"]]
    if failed:
        log.warning(
            "benchmark %s: %d samples could not be scored and are left out (%s)",
            *(name, len(failed), failed[0]),
        )
    if failed and not any_judged:
        raise ProviderError(
            f"benchmark {name!r}: no sample could be scored; the first: {failed[0]}"
        )
    if not any_judged:
        raise UsageError(
            f"benchmark {name!r}: no problem has a gold answer that its scorer can judge; "
            "check the columns of its data"
        )
