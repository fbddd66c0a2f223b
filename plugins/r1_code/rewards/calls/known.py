"""Calls with known results (APPS, TACO, LiveCodeBench): answered in the sandbox, compared here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from r1_code.rewards.calls.codec import encode
from r1_code.rewards.calls.playing import Answer, play
from r1_code.rewards.running import LATE, passed, picked
from r1_code.rewards.tests_of import Calls
from r1cli import Limits

if TYPE_CHECKING:
    from r1cli import CodeService

TOLERANCE = 1e-6  # of floats, absolute or relative
NUMBERS = (int, float)


async def share_of_calls(
    service: CodeService,
    source: str,
    tests: Calls,
    *,
    preamble: str,
    limits: Limits,
    most: int | None = None,
    all_or_nothing: bool = False,
) -> float:
    """The share of the calls that return what is expected, in [0, 1]."""
    chosen = [tests.tests[i] for i in picked(len(tests.tests), most)]
    asked = [[[tests.function, [encode(a) for a in test.arguments], {}]] for test in chosen]
    order = sorted(range(len(chosen)), key=lambda i: len(repr(asked[i])))

    async def shares(numbers: Sequence[int]) -> list[float]:
        units = [asked[i] for i in numbers]
        played = await play(
            service, source, units, limits=limits, preamble=preamble, stop=all_or_nothing
        )
        return [
            LATE if late else float(_right(chosen[i].expected, answers))
            for i, (answers, late) in zip(numbers, played, strict=True)
        ]

    return await passed(order, shares, all_or_nothing=all_or_nothing)


def _right(expected: Any, answers: Sequence[Answer]) -> bool:
    """APPS and TACO write some results inside a list of one."""
    if not answers or "value" not in answers[0]:
        return False
    value = answers[0]["value"]
    try:
        one = expected[0] if isinstance(expected, list) and len(expected) == 1 else expected
        return equal(expected, value) or equal(one, value)
    except (RecursionError, ValueError, TypeError, KeyError, IndexError):
        return False


def equal(expected: Any, data: Any) -> bool:
    """Whether `data`, as the codec writes it, is the JSON value `expected`.

    A tuple is as good as a list; keys are compared as text, which JSON makes of them.
    """
    tag, content = data if isinstance(data, list) else ("", data)
    if tag == "int":
        return isinstance(expected, int) and int(content, 16) == expected
    if tag == "float":
        return isinstance(expected, float) and repr(expected) == content
    if isinstance(expected, list):
        return (
            tag in ("list", "tuple")
            and len(content) == len(expected)
            and all(equal(one, two) for one, two in zip(expected, content, strict=True))
        )
    if isinstance(expected, dict):
        if tag != "dict" or len(content) != len(expected):
            return False
        found = {str(key): value for key, value in content if not isinstance(key, list)}
        return found.keys() == expected.keys() and all(
            equal(expected[key], found[key]) for key in expected
        )
    if tag:
        return False
    if isinstance(expected, NUMBERS) and isinstance(content, NUMBERS):
        if isinstance(expected, float) or isinstance(content, float):
            return abs(expected - content) <= TOLERANCE * max(1.0, abs(expected))
        return expected == content
    return type(expected) is type(content) and bool(expected == content)
