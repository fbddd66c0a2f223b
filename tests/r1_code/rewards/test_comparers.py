"""The comparers, and what other judges' own tests say of the same outputs."""

from __future__ import annotations

import json
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from r1_code.rewards.comparers import (
    comparer,
    decimals,
    exact,
    floats,
    lines,
    tokens,
    unordered_lines,
    yes_no,
)

CASES = (
    Path(__file__).resolve().parents[4] / "shared" / "data" / "code" / "output_compare_cases.jsonl"
)
ALL = [exact, tokens, lines, unordered_lines, floats, decimals, yes_no]


@pytest.mark.parametrize("equal", ALL)
def test_missing_or_extra_output_never_passes(equal):
    assert equal(b"1\n2\n3\n", b"1\n2\n3\n")
    for printed in (b"", b"\n", b"1\n", b"1\n2\n", b"1\n2\n3\n4\n", b"1\n2\n3\n3\n", b"2\n3\n"):
        assert not equal(b"1\n2\n3\n", printed), printed
    assert not equal(b"\n7\n", b"")
    assert not equal(b"", b"7\n")


@pytest.mark.parametrize(
    ("equal", "expected", "printed", "same"),
    [
        (exact, b"1\n", b"1", False),
        (tokens, b"1  2\n", b" 1\n2", True),
        (tokens, b"1.0", b"1.00", False),
        (tokens, b"Yes", b"yes", False),
        (lines, b"a  b\n", b"a  b   \n\n\n", True),
        (lines, b"a  b\n", b"a b\n", False),
        (lines, b"a\r\n", b"a\n", True),
        (lines, b" a", b"a", False),
        (unordered_lines, b"a\nb\nb", b"b\na\nb\n", True),
        (unordered_lines, b"a\nb\nb", b"b\na\na\n", False),
        (decimals, b"0.50 1\n x\n", b"0.5  1.0\nx", True),
        (decimals, b"50000000000000000", b"50000000000000001", False),
        (decimals, b"1\n2", b"1 2", False),
        (decimals, b"1 x", b"1.0 x", False),
        (floats, b"1.0 x", b"1.0000001 x", True),
        (floats, b"1000000.5", b"1000001", True),
        (floats, b"1.0", b"1.00001", False),
        (floats, b"0", b"-1e-7", True),
        (floats, b"nan", b"nan", True),
        (floats, b"1.5", b"nan", False),
        (floats, b"1.5", b"inf", False),
        (floats, b"inf", b"1e999999", False),
        (floats, b"1e999999", b"-1e999999", False),
        (floats, b"1e999999", b"2e999999", False),
        (floats, b"1.5", b"1_5e-1", False),
        (floats, b"1.5", "\u0661.5".encode(), False),
        (yes_no, b"YES\n1 a", b"yes 1 a", True),
        (yes_no, b"YES a", b"yes A", False),
        (yes_no, b"yes", b"no", False),
        (tokens, b"\xff\xfe\x00", b"\xff\xfe\x00\n", True),
    ],
)
def test_what_is_the_same(equal, expected, printed, same):
    assert equal(expected, printed) is same


def test_a_tolerance_is_given_by_name():
    assert comparer("floats", 0.5)(b"1", b"1.4")
    assert not comparer("floats")(b"1", b"1.4")
    assert comparer("exact") is exact


@pytest.mark.parametrize("equal", ALL)
@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        (b"1 " * 1_000_000, b"1 " * 999_999 + b"2"),
        (b"9" * 1_000_000, b"9" * 999_999 + b"8"),
        (b"1." + b"0" * 500_000, b"1." + b"0" * 499_999),
        (b"x\n" * 500_000, b"\n" * 1_000_000),
    ],
)
def test_long_output_takes_linear_time(equal, expected, printed):
    started = time.process_time()
    assert not equal(expected, printed)
    assert time.process_time() - started < 5


def rows() -> list[dict[str, str]]:
    if not CASES.is_file():
        return []
    return [json.loads(line) for line in CASES.read_text("utf-8").splitlines()]


def as_asked(flags: str):
    """The comparer that has the flags of Kattis' default validator, or is testlib's."""
    words = flags.split()
    given = dict(pairwise(words))
    if "fcmp" in words or "space_change_sensitive" in words:
        return lines
    if "float_tolerance" in given:
        tolerance = float(given["float_tolerance"])
        return partial(floats, absolute=tolerance, relative=tolerance)
    if "float_absolute_tolerance" in given:
        return partial(floats, absolute=float(given["float_absolute_tolerance"]), relative=0)
    if "float_relative_tolerance" in given:
        return partial(floats, absolute=0, relative=float(given["float_relative_tolerance"]))
    return tokens


def test_other_judges_agree():
    found = rows()
    if not found:
        pytest.skip(f"no {CASES}")
    wrong = []
    for row in found:
        if "\ufffd" in row["judge"]:
            continue  # its bytes were no text, and are lost
        same = as_asked(row["flags"])(row["judge"].encode(), row["output"].encode())
        if same != (row["expected"] == "AC"):
            wrong.append(row["id"])
    assert wrong == []
    assert len(found) >= 25
