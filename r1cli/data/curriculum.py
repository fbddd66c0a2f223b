"""Which rows a run trains on, and in which order: by what earlier attempts say of each.

Nothing is sampled for it. What decided is written into the run's folder when it begins, so that a
run goes on with its own rows whatever the attempt store holds by then.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import random
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from r1cli.data.stored_rates import KEY, stored_rates
from r1cli.errors import ProviderError, UsageError
from r1cli.files import write_atomic
from r1cli.plugins import Plugins
from r1cli.recipe import Recipe
from r1cli.recipe.dataset import Curriculum

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

FROZEN = "curriculum.json"
RATE = "pass_rate"
WAIT_SECONDS = 600.0
Rates = dict[int, float | None]
"""The rate of each row that is kept, by its number; None where nothing is known of it."""


def choose(rows: Dataset, recipe: Recipe, plugins: Plugins, frozen: Path | None = None) -> Dataset:
    """The rows that a recipe's curriculum keeps, with their `pass_rate`, in its order.

    Rows of one rate are shuffled with the seed; without an `order` all stay as they are. Those of
    the file `frozen`, where it is there, are kept whatever is known by now. Raises UsageError where
    nothing is known of any row, or none is left.
    """
    from datasets import Value, disable_progress_bars

    asked = recipe.dataset.curriculum
    assert asked
    kept = _again(rows, frozen) if frozen and frozen.exists() else _kept(rows, recipe, plugins)
    numbers = list(kept)
    if asked.order:
        seed = recipe.seed if recipe.dataset.seed is None else recipe.dataset.seed
        random.Random(seed).shuffle(numbers)
        sign = -1 if asked.order == "easy_first" else 1
        numbers.sort(key=lambda n: math.inf if (rate := kept[n]) is None else sign * rate)
    chosen = rows.remove_columns([RATE] if RATE in rows.column_names else []).select(numbers)
    disable_progress_bars()  # of a copy that takes no time
    return chosen.add_column(RATE, [kept[n] for n in numbers], feature=Value("float64"))


def freeze(rows: Dataset, run: Path) -> None:
    """Keep what chose the rows of a run, unless that is there from its first start."""
    path = run / FROZEN
    if not path.exists():
        rates = {_identity(row): row[RATE] for row in rows}
        write_atomic(path, json.dumps({"pass_rates": rates}, indent=0) + "\n")


def wait_for(frozen: Path, seconds: float = WAIT_SECONDS) -> None:
    """Wait until the first rank has frozen the rows: read apart, a growing store may differ."""
    deadline = time.monotonic() + seconds
    while not frozen.exists():
        if time.monotonic() > deadline:
            raise ProviderError(
                f"no {frozen} after {seconds:.0f} s: the first rank has not chosen its rows, or "
                "writes to another disk"
            )
        time.sleep(0.1)


def _kept(rows: Dataset, recipe: Recipe, plugins: Plugins) -> Rates:
    asked = recipe.dataset.curriculum
    assert asked
    found = stored_rates(rows, recipe, plugins)
    low = -math.inf if asked.min is None else asked.min
    high = math.inf if asked.max is None else asked.max
    known = {n: rate for n, rate in enumerate(found.rates) if rate is not None}
    inside = {n: rate for n, rate in known.items() if low <= rate <= high}
    unknown = len(rows) - len(known)
    kept: Rates = {
        n: known.get(n)
        for n in range(len(rows))
        if n in inside or (n not in known and asked.unknown == "keep")
    }
    log.info(
        "curriculum: %s of %d rows is known, %.3f in the mean, by %d attempts %s",
        *(found.reward, len(known), fmean(known.values()), found.attempts, found.whose),
    )
    log.info(
        "curriculum: %d of %d rows to train on: %d with %s, %d others dropped, %d unknown %s",
        *(len(kept), len(rows), len(inside), _bounds(asked), len(known) - len(inside), unknown),
        "dropped" if asked.unknown == "drop" else "kept last" if asked.order else "kept",
    )
    if found.passed_over:
        log.warning(
            "curriculum: %d attempts do not count, as %s did not judge them, or for another gold "
            "answer or by other arguments",
            *(found.passed_over, found.reward),
        )
    if not kept:
        raise UsageError(
            f"{recipe.where(*KEY)} leaves none of {len(rows)} rows: none has {_bounds(asked)}; "
            f"they are from {min(known.values()):g} to {max(known.values()):g}"
        )
    return kept


def _again(rows: Dataset, frozen: Path) -> Rates:
    """Those rows that the run began with."""
    try:
        rates = json.loads(frozen.read_text(encoding="utf-8"))["pass_rates"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{frozen} does not say what rows were chosen: {error}") from error
    kept = {n: rates[key] for n, row in enumerate(rows) if (key := _identity(row)) in rates}
    log.info("curriculum: %d of %d rows, as %s says", len(kept), len(rows), frozen)
    return kept


def _identity(row: Mapping[str, Any]) -> str:
    """A hash of all of a row but its rate."""
    rest = {name: value for name, value in row.items() if name != RATE}
    text = json.dumps(rest, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _bounds(asked: Curriculum) -> str:
    """`a rate of 0.1 to 0.9`."""
    if asked.min is None:
        return "any rate" if asked.max is None else f"a rate of at most {asked.max:g}"
    most = "or more" if asked.max is None else f"to {asked.max:g}"
    return f"a rate of {asked.min:g} {most}"
