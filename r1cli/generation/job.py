"""The flow of `r1 generate`: survey what is there, sample the rest, score it, write it out."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from r1cli.collecting import Ask, Sampler, collect, wanted
from r1cli.data.row_writer import RowWriter, check_out
from r1cli.data.rows import load_rows
from r1cli.data.source import named, read_from
from r1cli.errors import ProviderError, R1Error
from r1cli.generation.output import rows_of
from r1cli.generation.prompts import Item, Prompts
from r1cli.generation.recipe import GenerateRecipe
from r1cli.generation.scoring import TOGETHER, Judging
from r1cli.plugins import Plugins
from r1cli.records import Store
from r1cli.records.attempt import Source
from r1cli.scoring import BoundReward, bind_reward

log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]
"""Told of samples there, samples wanted, and how fast it goes."""

FAILURES_SAID = 3


@dataclass
class Tally:
    """What came of it, in samples; `rows` are those written."""

    wanted: int = 0
    kept: int = 0
    sampled: int = 0
    failed: int = 0
    tokens: int = 0
    rows: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def pace(self) -> str:
        """`512 tokens/s, 0:03:20 left`."""
        if not self.sampled:
            return ""
        left = self.wanted - self.kept - self.sampled - self.failed
        hours, rest = divmod(int(left * self.seconds / self.sampled), 3600)
        speed = self.tokens / max(self.seconds, 1e-9)
        return f"{speed:.0f} tokens/s, {hours}:{rest // 60:02}:{rest % 60:02} left"


class Job:
    """One generation: its rows loaded, its names looked up; no model and no store yet."""

    source: Source = "generate"

    def __init__(
        self, recipe: GenerateRecipe, plugins: Plugins, *, shard: tuple[int, int] = (0, 1)
    ) -> None:
        self.recipe, self.sampling = recipe, recipe.draws
        if wanted(self.sampling) < self.sampling.n:
            log.warning("temperature 0 draws one sample per prompt, not %d", self.sampling.n)
        self.rewards = [self._reward(place, plugins) for place in range(len(recipe.rewards))]
        name, args = named(recipe.dataset.name, recipe.dataset.args, plugins)
        self.read = read_from(args)
        rows = load_rows(name, args, plugins, where="--dataset")
        self.rows = rows.select(range(min(recipe.limit or len(rows), len(rows))))
        for reward in self.rewards:
            reward.check_columns(self.rows.column_names, "the dataset's columns")
        self.prompts = Prompts(
            self.rows,
            recipe.prompt,
            samples=wanted(self.sampling),
            uuid_column=recipe.uuid,
            shard=shard,
        )
        self.sampler = Sampler(recipe.engine_name, recipe.model, recipe.engine_args, plugins)

    def _reward(self, place: int, plugins: Plugins) -> BoundReward:
        term = self.recipe.rewards[place]
        bound = bind_reward(
            term.name, term.args, plugins, where=f"rewards.{place}", code=self.recipe.code
        )
        return replace(bound, weight=term.weight, seconds=term.seconds)

    def key(self, item: Ask) -> str:
        return self.sampler.key_of(item.prompt, self.sampling)

    def run(self, out: Path | None, folder: Path, progress: Progress) -> Tally:
        """Sample what the store in `folder` lacks, then write `out`, whole or not at all.

        Without `out` the samples are in the store, and that is all: a shard. Those that failed are
        left out and counted. Raises ProviderError where none is left.
        """
        if out:
            check_out(out, *self.read)
        with Store(folder) as store, Judging(self.rewards, self.rows, store) as judging:
            tally = self._sample(store, judging, progress)
            judging.finish()
            store.refresh()  # another process may have drawn what failed here
            if out:
                self._write(out, judging, tally)
        return tally

    def _sample(self, store: Store, judging: Judging, progress: Progress) -> Tally:
        """Draw what the store lacks. Raises ProviderError where there is nothing then."""
        lacking, tally = self._survey(store)
        errors: list[Exception] = []
        progress(tally.kept, tally.wanted, "")

        def settle(item: Ask) -> None:
            assert isinstance(item, Item)
            lacking[item.row] -= 1
            if not lacking[item.row]:
                judging.add(item, self.key(item))

        def failed(item: Ask, number: int, error: Exception) -> None:
            assert isinstance(item, Item)
            tally.failed += 1
            if tally.failed <= FAILURES_SAID:
                errors.append(error)
                sample = number - item.samples.start
                log.warning("row %d, sample %d: %s", item.row + 1, sample, error)
            settle(item)

        for found in collect(
            self.prompts, self.sampler, self.sampling, store, self.source, failed=failed
        ):
            tally.sampled += len(found)
            tally.tokens += sum(attempt.tokens for _, attempt in found)
            for item, _ in found:
                settle(item)
            progress(tally.kept + tally.sampled + tally.failed, tally.wanted, tally.pace())
        if errors and tally.failed == tally.wanted:
            raise ProviderError(f"none of {tally.wanted} samples came; the first: {errors[0]}")
        return tally

    def _survey(self, store: Store) -> tuple[Counter[int], Tally]:
        """How many samples each row lacks, where any; every prompt is checked on the way."""
        lacking, tally = Counter[int](), Tally()
        for item in self.prompts:
            missing = len(store.missing(self.key(item), item.samples))
            tally.wanted += len(item.samples)
            tally.kept += len(item.samples) - missing
            if missing:
                lacking[item.row] = missing
        return lacking, tally

    def _write(self, out: Path, judging: Judging, tally: Tally) -> None:
        items, there, broken = iter(self.prompts), 0, list[str]()
        with RowWriter(out) as writer:
            while several := list(islice(items, TOGETHER)):
                found = judging.judge([(item, self.key(item)) for item in several])
                for item, attempts in zip(several, found, strict=True):
                    row = self.rows[item.row]
                    there += len(attempts)
                    outcomes = judging.outcomes(attempts, item)
                    broken += [o.reason for said in outcomes for o in said if o.status == "failed"]
                    for one in rows_of(item, row, attempts, outcomes, self.rewards, self.recipe):
                        writer.write(one)
            tally.rows = writer.count
            if broken:
                log.warning(
                    "%d judgements failed and count for nothing; the next run makes them again; "
                    "the first: %s",
                    *(len(broken), broken[0]),
                )
            if (gone := tally.wanted - tally.failed - there) > 0:
                log.warning("%d samples are no longer in the store; the next run draws them", gone)
            if not tally.rows:
                raise R1Error(
                    f"keep {self.recipe.keep!r} leaves none of {tally.wanted - tally.failed} "
                    f"samples; {out} is not written"
                )
