"""Results of several models, benchmark by benchmark: paired differences and flipped problems."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from r1cli.errors import UsageError
from r1cli.evaluation.paired import Paired, paired
from r1cli.evaluation.results import Result, read_results
from r1cli.evaluation.score import Sample
from r1cli.evaluation.spec import differences

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Flip:
    """A problem that one solves in at least half of its samples and the other does not."""

    problem: int
    a: Sample
    b: Sample
    a_score: float
    b_score: float

    @property
    def gained(self) -> bool:
        return self.b_score > self.a_score

    def to_dict(self) -> dict[str, Any]:
        told = [_told(sample) for sample in (self.a, self.b)]
        return {
            "problem": self.problem,
            "change": "gained" if self.gained else "lost",
            "question": self.a["prompt"][-1]["content"],
            "gold": self.a.get("gold"),
            "a": {"score": self.a_score, **told[0]},
            "b": {"score": self.b_score, **told[1]},
        }


@dataclass(frozen=True)
class Comparison:
    benchmark: str
    a: Path
    b: Path
    paired: Paired
    flips: list[Flip]

    def to_dict(self) -> dict[str, Any]:
        flips = [flip.to_dict() for flip in self.flips]
        sides = {"a_path": str(self.a), "b_path": str(self.b)}
        return {"benchmark": self.benchmark, **sides, **self.paired.to_dict(), "flips": flips}


def compare(places: Sequence[Path]) -> list[Comparison]:
    """The first place against each other one, on every benchmark that both have.

    Raises UsageError where they share none, where a place has a benchmark twice, or where the
    specs of one differ: then the scores are of different things.
    """
    first, *others = ({r.benchmark: r for r in _one_each(place)} for place in places)
    found = []
    for place, other in zip(places[1:], others, strict=True):
        shared = [name for name in first if name in other]
        if not shared:
            raise UsageError(
                f"{places[0]} and {place} share no benchmark: {', '.join(first)} and "
                f"{', '.join(other)}"
            )
        found += [_compared(first[name], other[name]) for name in shared]
    return found


def _one_each(place: Path) -> list[Result]:
    results = read_results(place)
    names = [result.benchmark for result in results]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        files = [result.path.name for result in results if result.benchmark == twice]
        raise UsageError(
            f"{place} has benchmark {twice!r} several times; name one file: {', '.join(files)}"
        )
    return results


def _compared(a: Result, b: Result) -> Comparison:
    unlike = differences(_comparable(a), _comparable(b))
    if unlike:
        more = f", and {len(unlike) - 3} more" if len(unlike) > 3 else ""
        raise UsageError(
            f"{a.path} and {b.path} have different specs of {a.benchmark!r}, so their scores do "
            f"not compare ({', '.join(unlike[:3])}{more}); evaluate both alike"
        )
    for result in (a, b):
        if gaps := result.gaps:
            log.warning("%s: %s; the quick answers came first, so evaluate on", result.path, gaps)
    both = [key for key in a.problems if key in b.problems]
    if len(both) < 2:
        raise UsageError(f"{a.path} and {b.path} share {len(both)} judged problems; two are needed")
    scores = [[[s["score"] for s in r.problems[key]] for key in both] for r in (a, b)]
    flips = [flip for key in both if (flip := _flip(a.problems[key], b.problems[key])) is not None]
    return Comparison(a.benchmark, a.path, b.path, paired(*scores), flips)


def _comparable(result: Result) -> dict[str, Any]:
    return {key: value for key, value in result.spec.items() if key != "hash"}


def _flip(a: Sequence[Sample], b: Sequence[Sample]) -> Flip | None:
    means = [fmean(s["score"] for s in group) for group in (a, b)]
    if (means[0] >= 0.5) == (means[1] >= 0.5):
        return None
    first, second = (
        _typical(group, mean >= 0.5) for group, mean in zip((a, b), means, strict=True)
    )
    return Flip(a[0]["problem"], first, second, *means)


def _typical(group: Sequence[Sample], right: bool) -> Sample:
    """The first sample that is as most are."""
    return next(sample for sample in group if (sample["score"] >= 0.5) == right)


def _told(sample: Sample) -> dict[str, Any]:
    known = {"answer": sample["answer"]} if "answer" in sample else {}
    return {**known, "completion": sample["completion"], "truncated": sample["truncated"]}
