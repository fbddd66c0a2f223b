"""math-verify behind a door: what goes in is capped, what comes out is a bool."""

from __future__ import annotations

import logging
import re
import threading
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any

from r1_rewards.limits import costly_text, too_large
from r1cli import require

SECONDS = 5  # per parse and per comparison, on the main thread (that of a worker, too), where a
# clock exists; elsewhere the runtime ends a call that takes too long

ROUNDED = 0.01  # how far apart two sides of an equation may be: 1/3 = 0.33

_SAID_EQUAL = re.compile(r"=|\\approx(?![A-Za-z])")
_SCIENTIFIC = re.compile(r"(?<=\d)[eE]([-+]?\d{1,3})(?![\d.])", re.ASCII)
_PAIRS = ("()", "[]", "{}")
_POWER_IN_PARENTHESES = re.compile(r"\^\s*\(([^()]*)\)")


class TookTooLong(Exception):
    """The clock ran out. Raised, so that no cache remembers it as an answer."""


def readable(text: str) -> bool:
    return _parsed(text) is not None


def equal(gold: str, answer: str, float_tolerance: float, strict: bool) -> bool:
    """Whether math-verify holds `answer` equal to `gold`; False where it cannot tell."""
    expected, given = _parsed(gold), _parsed(answer)
    if expected is None or given is None:
        return False
    from math_verify import verify
    from math_verify.errors import TimeoutException

    try:
        if too_large(expected) or too_large(given):
            return False
        if _hedges(expected, given) or _contradicts(expected, answer):
            return False
        if (verdict := _decimals_close(expected, given, float_tolerance)) is not None:
            return verdict
        return bool(
            verify(
                expected,
                given,
                strict=strict,
                allow_set_relation_comp=True,
                timeout_seconds=_seconds(),
                raise_on_error=True,
            )
        )
    except TimeoutException as error:
        raise TookTooLong from error
    except MemoryError:
        raise  # the limit of the process that judges, not a verdict
    except Exception:
        return False  # SymPy has no order for these two, cannot subtract them, ...


@lru_cache(maxsize=16384)
def _parsed(text: str) -> Any:
    """The SymPy object that `text` means, unevaluated; None when it means none."""
    if not text or costly_text(text):
        return None
    require("train", "math_verify")
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse
    from math_verify.errors import TimeoutException

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns where no clock is given
    normal = NormalizationConfig(units=False, malformed_operators=True, nits=True, boxed="last")
    config = LatexExtractionConfig(boxed_match_priority=0, normalization_config=normal)
    text = _SCIENTIFIC.sub(r" \\times 10^{\1}", text)
    text = _POWER_IN_PARENTHESES.sub(r"^{\1}", text).replace("*", r" \cdot ")
    try:
        found = parse(
            rf"\boxed{{{text}}}",
            [config],
            fallback_mode="no_fallback",
            extraction_mode="first_match",  # else a fraction inside what it cannot read
            parsing_timeout=_seconds(),
            raise_on_error=True,
        )
    except TimeoutException as error:
        raise TookTooLong from error
    except MemoryError:
        raise
    except Exception:
        return None
    return found[0] if found else None


def _seconds() -> int | None:
    """math-verify's clock is SIGALRM, which only the main thread can set."""
    return SECONDS if threading.current_thread() is threading.main_thread() else None


def _hedges(gold: Any, answer: Any) -> bool:
    """Several equations against one value: math-verify would look at the last one only."""
    from latex2sympy2_extended.logic import And
    from sympy import Eq

    if not isinstance(answer, And) or isinstance(gold, And):
        return False
    parts = [part for part in answer.args if isinstance(part, Eq)]
    chained = all(a.rhs == b.lhs for a, b in pairwise(parts))
    return len(parts) > 1 and not chained and len({part.rhs for part in parts}) > 1


def _contradicts(gold: Any, answer: str) -> bool:
    """Constants that are said to be equal and are not, as in `25 = 18`, or `2x + 1 = 18` for a
    gold that is a term."""
    sides = _SAID_EQUAL.split(answer)
    if len(sides) < 2 or any(side.count(a) != side.count(b) for side in sides for a, b in _PAIRS):
        return False
    read = [_parsed(side.strip()) for side in sides]
    values = [value for side in read if (value := _constant(side)) is not None]
    if values and gold.free_symbols and not gold.is_Relational:
        return True
    return any(abs(a - b) > ROUNDED * max(abs(a), abs(b)) for a, b in pairwise(values))


def _constant(side: Any) -> Fraction | None:
    import sympy

    if not isinstance(side, sympy.Expr) or not side.is_number or too_large(side):
        return None
    try:
        return Fraction(str(side.doit().evalf(30)))
    except (ValueError, TypeError, ArithmeticError):
        return None


def close(gold: Fraction, answer: Fraction, tolerance: float) -> bool:
    """Absolute below `tolerance`, shrunk for golds below 0.1 so that 3.3e-10 is not 2.8e-10."""
    return abs(gold - answer) <= Fraction(tolerance) * min(Fraction(1), 10 * abs(gold))


def _decimals_close(gold: Any, answer: Any, tolerance: float) -> bool | None:
    """How two real constants compare when one of them is a decimal; None for all else."""
    import sympy

    for side in (gold, answer):
        if not isinstance(side, sympy.Expr) or not side.is_number:
            return None
    if not (gold.has(sympy.Float) or answer.has(sympy.Float)):
        return None
    try:
        values = [Fraction(str(side.doit().evalf(30))) for side in (gold, answer)]
        percents = [side.has(sympy.UnevaluatedExpr) for side in (gold, answer)]
    except (ValueError, TypeError, ArithmeticError):
        return None
    if close(values[0], values[1], tolerance):
        return True
    if percents[0] == percents[1]:
        return False
    scaled = [v * 100 if p else v for v, p in zip(values, percents, strict=True)]
    return close(scaled[0], scaled[1], tolerance)
