"""Closed forms read and compared exactly without SymPy, which takes 20 ms where this takes 0.05.

A tuple, list, set, interval, union or matrix is its leaves: if a leaf of one is unlike every leaf
of the other, no reading makes the two equal. What is not wholly understood is undecided, and
math-verify decides: mixed numbers, `1/2x`, words, roots of negatives, powers of i, e, percents,
containers with the same leaves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from r1_rewards import surds
from r1_rewards.closed_form_reader import Reader
from r1_rewards.limits import costly_text
from r1_rewards.surds import Sum, UndecidedError

MAX_CHARS = 200  # what is longer is rare

_MARKED = re.compile(r"(-?\d+)(?:\^\s*(?:\\circ|\{\s*\\circ\s*\})|_(?:\d|\{\d{1,2}\}))", re.ASCII)
_THOUSANDS = re.compile(r"\d,\d{3}", re.ASCII)  # outside of brackets; inside, a pair of numbers
_GROUPED = re.compile(r"-?[1-9]\d{0,2}(,\d{3})+(\.\d+)?", re.ASCII)


@dataclass(frozen=True)
class Reading:
    leaves: tuple[Sum, ...]
    scalar: bool  # an expression, and no tuple, set, interval or matrix
    decimal: bool
    named: bool  # has variables


def equal(gold: str, answer: str, float_tolerance: float, strict: bool) -> bool | None:
    """Whether two tidy answers are equal; None where math-verify has to say."""
    a, b = read(gold), read(answer)
    if a is None or b is None or 2 * float_tolerance > surds.APART_ROUNDED:
        return None
    if (a.named or b.named) and not strict:
        return None  # variables may be renamed
    rounded = a.decimal or b.decimal
    if a.scalar and b.scalar and a.leaves == b.leaves and not (a.named or b.named or rounded):
        return True
    for one, other in ((a, b), (b, a)):
        if any(all(surds.apart(x, y, rounded) for y in other.leaves) for x in one.leaves):
            return False
    return None


@lru_cache(maxsize=16384)
def read(text: str) -> Reading | None:
    """What a tidy answer is made of; None where it is not wholly understood."""
    bare = not text.startswith(("(", "["))
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    if len(text) > MAX_CHARS or costly_text(text) or (bare and _THOUSANDS.search(text)):
        return None
    marked = _MARKED.fullmatch(text)  # math-verify drops degrees and bases
    try:
        leaves = Reader(marked[1] if marked else text).answer()
    except (UndecidedError, ZeroDivisionError, ValueError, IndexError):
        return None
    scalar = len(leaves) == 1 and not text.startswith(("[", r"\{", r"\begin"))
    named = any({*surds.variables(leaf)} - {surds.INFINITY} for leaf in leaves)
    return Reading(tuple(leaves), scalar, "." in text, named)
