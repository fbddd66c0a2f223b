"""How many rows of each part a mixture takes, and which."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from r1cli.errors import UsageError

if TYPE_CHECKING:
    from datasets import Dataset


def counts(
    sizes: Sequence[int],
    weights: Sequence[float],
    names: Sequence[str],
    *,
    proportions: bool = False,
    oversample: bool = False,
    size: int | None = None,
) -> list[int]:
    """Rows to take of parts that have `sizes` rows.

    Weights are the share of each part (open-r1's), or with `proportions` of the whole: then the
    mixture is as large as it can be without repeating a row, with `oversample` as small as it can
    be without leaving one out, or `size` rows. Only `oversample` takes a row more than once. Raises
    UsageError, with the part's name, where a part has too few rows or none would be left of it.
    """
    if proportions:
        whole = sum(weights)
        shares = [weight / whole for weight in weights]
        rooms = [have / share for have, share in zip(sizes, shares, strict=True)]
        if size is None:
            # Rounded: 30 / 0.3 is less than 100.
            size = math.ceil(round(max(rooms), 6)) if oversample else int(round(min(rooms), 6))
        wanted = apportioned(size, shares)
    else:
        wanted = [int(have * weight) for have, weight in zip(sizes, weights, strict=True)]
    for name, weight, have, take in zip(names, weights, sizes, wanted, strict=True):
        if not have:
            raise UsageError(
                f"no row is left of {name}: all its problems are held out; leave it out"
            )
        if not take:
            least = f"a size above {size}" if proportions else f"at least {1 / have:.2g}"
            raise UsageError(
                f"weight {weight:g} leaves none of the {have} rows of {name}; use {least}"
            )
        if take > have and not oversample:
            raise UsageError(
                f"{take} rows are wanted of {name}, which has {have}; "
                "lower its weight or the size, or say oversample: true to repeat rows"
            )
    return wanted


def apportioned(size: int, shares: Sequence[float]) -> list[int]:
    """`size` rows by their shares: floors, and the rest to the largest remainders."""
    exact = [size * share for share in shares]
    taken = [int(one + 1e-9) for one in exact]
    largest = sorted(range(len(shares)), key=lambda i: taken[i] - exact[i])
    for number in largest[: size - sum(taken)]:
        taken[number] += 1
    return taken


def take(rows: Dataset, count: int, seed: int) -> Dataset:
    """`count` rows in an order drawn by the seed; past the last, all again in another order."""
    from datasets import concatenate_datasets

    whole, rest = divmod(count, len(rows))
    rounds = [rows.shuffle(seed=seed + turn) for turn in range(whole)]
    if rest:
        rounds.append(rows.shuffle(seed=seed + whole).select(range(rest)))
    return concatenate_datasets(rounds) if len(rounds) > 1 else rounds[0]
