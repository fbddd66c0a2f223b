"""The range that a reward declares: `range = (0, 1)` on the function, or `Range:` in its docstring.

A docstring says an interval, `[0, 1]`, or all values, `{0.0, 0.5, 1.0}`. An end may be the name of
an argument, and is then what the argument is set to.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from r1cli import signature

_SAID = re.compile(r"\bRange:\s*([\[{])([^\[\]{}]*)[\]}]")


@dataclass(frozen=True)
class Range:
    """An interval with its ends, or the only values there are."""

    values: tuple[float, ...]
    interval: bool

    def __contains__(self, number: float) -> bool:
        if self.interval:
            low, high = self.values
            return low - 1e-9 <= number <= high + 1e-9
        return any(math.isclose(number, value, abs_tol=1e-9) for value in self.values)

    def __str__(self) -> str:
        listed = ", ".join(f"{value:g}" for value in self.values)
        return f"[{listed}]" if self.interval else f"{{{listed}}}"


def declared_range(function: Callable[..., Any], args: Mapping[str, Any]) -> Range | None:
    """None where nothing is declared, or what is declared is not made of numbers and arguments."""
    known = signature.parameters(function)
    set_to = {**{name: p.default for name, p in known.items()}, **args}
    attribute = getattr(function, "range", None)
    if attribute is not None:
        low, high = attribute
        return Range((float(low), float(high)), interval=True)
    said = _SAID.search(inspect.getdoc(function) or "")
    if said is None:
        return None
    words = [word.strip() for word in said[2].split(",")]
    values = [_value(word, set_to) for word in words if word != "None"]
    interval = said[1] == "["
    if not values or None in values or (interval and len(values) != 2):
        return None
    return Range(tuple(v for v in values if v is not None), interval)


def _value(word: str, args: Mapping[str, Any]) -> float | None:
    try:
        return float(args.get(word, word))
    except (TypeError, ValueError):
        return None
