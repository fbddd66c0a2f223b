"""Before training: which rows have a gold answer that no reward can judge?

Every reward that reads a column is asked about an empty completion. Where all of those that apply
to a row answer "not applicable", no completion of that row will ever have a reward.
"""

from __future__ import annotations

import logging
import random
import reprlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from r1cli.errors import UsageError
from r1cli.recipe import Scoring
from r1cli.scoring.reward import BoundReward
from r1cli.scoring.scorer import REWARD_NAMES, Scorer
from r1cli.types import Completion

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

BATCH = 512
SECONDS = 60.0  # for the whole check; a larger dataset is sampled as far as that reaches
SAY_SECONDS = 10.0
SHOWN = 5


def check_gold(
    rows: Dataset,
    rewards: Sequence[BoundReward],
    *,
    limits: Scoring | None = None,
    seconds: float = SECONDS,
    seed: int = 0,
) -> list[int]:
    """The numbers of the rows that no reward can judge, reported with a warning.

    Rewards that read no column, and `async def` ones, which may cost money, are not asked; a row
    that one of the latter applies to counts as judged. Raises UsageError when it is every row.
    """
    reading = [reward for reward in rewards if reward.columns.required]
    asked = [reward for reward in reading if not reward.is_async]
    if not asked or len(asked) < len(reading):
        return []
    wanted = {name for r in asked for name in (*r.columns.required, *r.columns.optional)}
    names = [n for n in rows.column_names if n in {*wanted, "prompt", REWARD_NAMES}]
    table, total = rows.select_columns(names), len(rows)
    order = list(range(total))
    random.Random(seed).shuffle(order)  # so that what is not reached is like what is
    started = said = time.monotonic()
    found: list[int] = []
    done = 0
    with Scorer(asked, limits=limits) as scorer:
        while done < total and (done == 0 or time.monotonic() - started < seconds):
            picked = sorted(order[done : done + BATCH])
            found += [picked[i] for i in _unjudged(scorer, table[picked])]
            done += len(picked)
            if time.monotonic() - said > SAY_SECONDS:
                said = time.monotonic()
                log.info("gold answers: %d of %d rows checked", done, total)
    if found:
        _report(sorted(found), done, table, asked)
    if done < total:
        log.info("gold answers: %d of %d rows checked in %.0f s", done, total, seconds)
    return sorted(found)


def _unjudged(scorer: Scorer, batch: dict[str, list[Any]]) -> list[int]:
    """Places in the batch where a reward applies and none can judge."""
    count = len(next(iter(batch.values())))
    prompts = batch.get("prompt", [""] * count)
    columns = {name: values for name, values in batch.items() if name != "prompt"}
    outcomes = scorer.score([Completion("")] * count, prompts, columns)
    return [
        i
        for i, ends in enumerate(zip(*outcomes, strict=True))
        if all(end.status == "not_applicable" for end in ends)
        and any(not end.reason for end in ends)  # one was asked and had no answer
    ]


def _report(found: list[int], checked: int, table: Dataset, rewards: Sequence[BoundReward]) -> None:
    column = rewards[0].columns.required[0]
    first = ", ".join(
        f"{row} ({column} {reprlib.repr(table[row].get(column))})" for row in found[:SHOWN]
    )
    names = " or ".join(repr(reward.name) for reward in rewards)
    said = f"{len(found)} of {checked} rows have a gold answer that {names} cannot read"
    if len(found) == checked:
        raise UsageError(f"{said}, which is all; the first: {first}; check dataset.columns")
    more = ", ..." if len(found) > SHOWN else ""
    log.warning("%s, so they teach nothing: rows %s%s", said, first, more)
