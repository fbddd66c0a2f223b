"""Which problems a model solves sometimes: sampled, scored, and kept between two bounds.

It is a generation of which the rates are kept and not the texts: what the attempt store has is
used, what it lacks is sampled, and the texts stay there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from r1cli.data.row_writer import RowWriter, check_out
from r1cli.data.source import types_of
from r1cli.generation.job import Job, Progress, Tally
from r1cli.generation.output import score
from r1cli.generation.scoring import TOGETHER, Judging
from r1cli.records import Store
from r1cli.records.attempt import Source
from r1cli.stats import pass_at_k


@dataclass(frozen=True)
class Bounds:
    """The rates to keep; with `inclusive` the bounds themselves as well.

    A rate is at a bound where only rounding tells them apart: pass@2 of 1 in 10 is 0.2.
    """

    low: float
    high: float
    inclusive: bool = True

    def hold(self, rate: float) -> bool:
        if any(math.isclose(rate, bound, abs_tol=1e-9) for bound in (self.low, self.high)):
            return self.inclusive
        return self.low < rate < self.high


@dataclass
class Rates:
    """What came of it. Row numbers count from 1; `unjudged` are rows that no sample says of."""

    tally: Tally
    rates: list[float] = field(default_factory=list)
    unjudged: list[int] = field(default_factory=list)
    partly: int = 0
    kept: int = 0


class PassRate(Job):
    """A pass over the rows of a generation's recipe that asks how often its rewards are met."""

    source: Source = "pass_rate"

    def rate(
        self,
        folder: Path,
        progress: Progress,
        *,
        bounds: Bounds,
        k: int = 1,
        threshold: float = 1.0,
        keep_unjudged: bool = False,
        out: Path | None = None,
        rates_out: Path | None = None,
    ) -> Rates:
        """Sample what the store in `folder` lacks, score it, write rows with their `pass_rate`.

        `out` gets the rows between the bounds, `rates_out` all of them. Of a row's judged samples
        the rate is the mean score, a score being the weighted mean of the rewards; with `k` above
        1, the unbiased estimate of pass@k, where a score of `threshold` or more passes. Raises
        ProviderError where no sample came.
        """
        for option, path in (("--out", out), ("--rates", rates_out)):
            if path:
                check_out(path, *self.read, option=option)
        with (
            Store(folder) as store,
            Judging(self.rewards, self.rows, store) as judging,
            ExitStack() as files,
        ):
            found = Rates(self._sample(store, judging, progress))
            judging.finish()
            store.refresh()  # another process may have drawn what failed here
            types = types_of(self.rows.features.arrow_schema) | _added()
            kept = files.enter_context(RowWriter(out, types)) if out else None
            every = files.enter_context(RowWriter(rates_out, types)) if rates_out else None
            items = iter(self.prompts)
            while several := list(islice(items, TOGETHER)):
                attempts = judging.judge([(item, self.key(item)) for item in several])
                for item, tries in zip(several, attempts, strict=True):
                    row = self.rows[item.row]
                    all_ = [score(one, self.rewards) for one in judging.outcomes(tries, item)]
                    scores = [one for one in all_ if one is not None]
                    found.partly += 0 < len(scores) < len(item.samples)
                    rate = estimate(scores, k, threshold)
                    rated = {**row, "pass_rate": rate, "pass_rate_scores": scores}
                    if every:
                        every.write(rated)
                    if rate is None:
                        found.unjudged.append(item.row + 1)
                    else:
                        found.rates.append(rate)
                    if keep_unjudged if rate is None else bounds.hold(rate):
                        found.kept += 1
                        if kept:
                            kept.write(rated)
        return found


def _added() -> dict[str, Any]:
    """The types of the columns that are added, whatever columns of these names were before."""
    import pyarrow as pa

    return {"pass_rate": pa.float64(), "pass_rate_scores": pa.list_(pa.float64())}


def estimate(scores: Sequence[float], k: int = 1, threshold: float = 1.0) -> float | None:
    """The rate of one problem; None where fewer than `k` samples were judged."""
    if len(scores) < k:
        return None
    if k == 1:
        return fmean(scores)
    passed = sum(one >= threshold or math.isclose(one, threshold) for one in scores)
    return pass_at_k(passed, len(scores), k)


def as_row(found: Rates) -> dict[str, Any]:
    """The counts, for a table."""
    return {
        "rows": len(found.rates) + len(found.unjudged),
        "kept": found.kept,
        "never": sum(rate <= 0 for rate in found.rates),
        "always": sum(rate >= 1 for rate in found.rates),
        "unjudged": len(found.unjudged),
        "partly_judged": found.partly,
        "mean": fmean(found.rates) if found.rates else None,
        "sampled": found.tally.sampled,
        "from_store": found.tally.kept,
        "failed": found.tally.failed,
    }
