"""Is what a program printed what was expected? Decided here, outside of any sandbox."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Literal

Comparer = Literal["tokens", "exact", "lines", "unordered_lines", "floats", "decimals", "yes_no"]
"""How output is compared: see the function of that name."""

Equal = Callable[[bytes, bytes], bool]
"""`equal(expected, printed)`"""

LONGEST_NUMBER = 400  # characters; a longer token is compared as text
_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,6})?")


def comparer(name: Comparer, tolerance: float = 1e-6) -> Equal:
    """The comparer of that name; `tolerance` is the one of `floats`."""
    known: dict[str, Equal] = {
        "tokens": tokens,
        "exact": exact,
        "lines": lines,
        "unordered_lines": unordered_lines,
        "floats": partial(floats, absolute=tolerance, relative=tolerance),
        "decimals": decimals,
        "yes_no": yes_no,
    }
    return known[name]


def exact(expected: bytes, printed: bytes) -> bool:
    """Byte for byte."""
    return expected == printed


def tokens(expected: bytes, printed: bytes) -> bool:
    """The same words between whitespace, as many of them (testlib's wcmp)."""
    return expected.split() == printed.split()


def lines(expected: bytes, printed: bytes) -> bool:
    """The same lines; whitespace at their ends and empty lines at the end do not count."""
    return _lines(expected) == _lines(printed)


def unordered_lines(expected: bytes, printed: bytes) -> bool:
    """`lines` in any order; each as often as expected."""
    return sorted(_lines(expected)) == sorted(_lines(printed))


def floats(
    expected: bytes, printed: bytes, *, absolute: float = 1e-6, relative: float = 1e-6
) -> bool:
    """`tokens`, where a number may differ by `absolute`, or by `relative` times the expected one.

    Where the expected token is a decimal number the printed one must be, too (Kattis' default
    validator); `inf` and `nan` are words like any other.
    """
    one, two = expected.split(), printed.split()
    return len(one) == len(two) and all(
        a == b or _near(a, b, absolute, relative) for a, b in zip(one, two, strict=True)
    )


def decimals(expected: bytes, printed: bytes) -> bool:
    """The same lines less whitespace at their ends, or lines of numbers of the same values, however
    written: 0.50 is 0.5 (LiveCodeBench's grader)."""
    one, two = (text.strip().split(b"\n") for text in (expected, printed))
    return len(one) == len(two) and all(
        a.strip() == b.strip() or (bool(values := _decimals(a)) and values == _decimals(b))
        for a, b in zip(one, two, strict=True)
    )


def yes_no(expected: bytes, printed: bytes) -> bool:
    """`tokens`, where `yes` and `no` may be written in any case; all other words may not."""
    return _folded(expected) == _folded(printed)


def _near(expected: bytes, printed: bytes, absolute: float, relative: float) -> bool:
    if max(len(expected), len(printed)) > LONGEST_NUMBER:
        return False
    if not (_NUMBER.fullmatch(expected) and _NUMBER.fullmatch(printed)):
        return False
    one, two = float(expected), float(printed)
    return abs(one - two) <= max(absolute, relative * abs(one)) < float("inf")


def _decimals(line: bytes) -> list[Decimal] | None:
    words = line.split()
    if all(len(word) <= LONGEST_NUMBER and _NUMBER.fullmatch(word) for word in words):
        return [Decimal(word.decode()) for word in words]
    return None


def _lines(text: bytes) -> list[bytes]:
    found = [line.rstrip() for line in text.split(b"\n")]
    while found and not found[-1]:
        found.pop()
    return found


def _folded(text: bytes) -> list[bytes]:
    return [w.lower() if w.lower() in (b"yes", b"no") else w for w in text.split()]
