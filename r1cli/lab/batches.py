"""The samples of a file scored batch by batch: here, or by the workers of a cluster."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from r1cli.lab import named
from r1cli.lab.table_file import Samples
from r1cli.parallel import Workers, in_order
from r1cli.recipe import Scoring
from r1cli.scoring import BoundReward, RewardError, Scorer
from r1cli.scoring.units import homes
from r1cli.types import Completion, Outcome, Prompt

SIZE = 1024  # samples of a batch, or more where one prompt has more

Outcomes = list[list[Outcome]]
"""`outcomes[r][i]`: reward r on sample i."""


class Batch(NamedTuple):
    """Some samples of a file, and their places in it."""

    places: list[int]
    completions: Sequence[Completion]
    prompts: Sequence[Prompt]
    columns: Mapping[str, Sequence[Any]]


def batches(samples: Samples, rewards: Sequence[BoundReward]) -> Iterator[Batch]:
    """All samples; those of one prompt together, unless each is judged by itself."""
    alone = all(reward.per_sample for reward in rewards)
    keys = range(len(samples)) if alone else homes(samples.prompts)
    groups: dict[int, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    places: list[int] = []
    for group in groups.values():
        if places and len(places) + len(group) > SIZE:
            yield _batch(samples, places)
            places = []
        places += group
    yield _batch(samples, places)


def scored_here(scorer: Scorer, found: Iterator[Batch]) -> Iterator[tuple[Batch, Outcomes]]:
    """Each batch with its outcomes."""
    for batch in found:
        yield batch, _score(scorer, batch)


def scored_by(
    workers: Workers, rewards: Sequence[str], args: Sequence[str], found: Iterator[Batch]
) -> Iterator[tuple[Batch, Outcomes]]:
    """The same, elsewhere: the rewards go there by name, with their `reward.key=value`."""
    asked = (tuple(rewards), tuple(args))
    return in_order(_score_there, asked, found, send=lambda batch: batch, workers=workers)


def _score_there(asked: tuple[tuple[str, ...], tuple[str, ...]], batch: Batch) -> Outcomes:
    return _score(_scorer(*asked), batch)


@functools.cache  # open as long as its process: the next batch finds it warm
def _scorer(rewards: tuple[str, ...], args: tuple[str, ...]) -> Scorer:
    from r1cli.plugins import load_plugins

    bound = named.rewards(rewards, args, load_plugins())
    return Scorer(bound, limits=Scoring(workers=1)).__enter__()


def _score(scorer: Scorer, batch: Batch) -> Outcomes:
    try:
        return scorer.score(batch.completions, batch.prompts, batch.columns)
    except RewardError as error:  # which counts within the batch
        raise error.at(None if error.index is None else batch.places[error.index]) from error


def _batch(samples: Samples, places: list[int]) -> Batch:
    return Batch(
        places,
        [samples.completions[place] for place in places],
        [samples.prompts[place] for place in places],
        {name: [values[p] for p in places] for name, values in samples.columns.items()},
    )
