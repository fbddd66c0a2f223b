"""Which samples of a result to look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from r1cli.evaluation.score import Sample


def is_wrong(sample: Sample) -> bool:
    return sample["score"] is not None and sample["score"] < 1


def is_truncated(sample: Sample) -> bool:
    return bool(sample["truncated"])


def is_unparseable(sample: Sample) -> bool:
    return "answer" in sample and sample["answer"] is None


def disagreeing(samples: Sequence[Sample]) -> Callable[[Sample], bool]:
    """Whether the samples of a sample's problem have different scores."""
    scores: defaultdict[int, set[float | None]] = defaultdict(set)
    for sample in samples:
        scores[sample["problem"]].add(sample["score"])
    return lambda sample: len(scores[sample["problem"]]) > 1


def marks(samples: Sequence[Sample]) -> list[list[str]]:
    """What there is to say of each sample: right or wrong, truncated, unparseable, disagreement."""
    disagrees = disagreeing(samples)
    tests = (
        ("truncated", is_truncated),
        ("unparseable", is_unparseable),
        ("disagreement", disagrees),
    )
    found = []
    for sample in samples:
        first = "unjudged" if sample["score"] is None else "wrong" if is_wrong(sample) else "right"
        found.append([first, *(name for name, test in tests if test(sample))])
    return found


def choose(
    samples: Sequence[Sample], wanted: Sequence[str], *, problem: int | None = None
) -> list[tuple[Sample, list[str]]]:
    """The samples that have every one of the `wanted` marks, of one problem or all, with theirs."""
    pairs = zip(samples, marks(samples), strict=True)
    return [
        (sample, own)
        for sample, own in pairs
        if problem in (None, sample["problem"]) and all(mark in own for mark in wanted)
    ]
