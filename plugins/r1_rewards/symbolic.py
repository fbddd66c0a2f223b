"""math-verify behind a door: what goes in is capped, what comes out is a bool."""

from __future__ import annotations

import logging
import math
import re
import threading
from fractions import Fraction
from functools import lru_cache
from typing import Any

MAX_CHARS = 1_000  # of an answer that is parsed
MAX_DEPTH = 24  # of nested brackets, where one that belongs to no command counts three times:
# the parser backtracks, and its time doubles with each
MAX_BARS = 8  # of absolute values, for the same reason
MAX_BITS = 50_000  # of an integer that a power may build: 10^10000 passes, 9^9^9 does not
MAX_FACTORIAL = 2_000
MAX_TERMS = 1_000  # of a sum or product with numbers as bounds
MAX_EXPANSION = 200  # the exponent of a bracket with variables, which simplifying may multiply out
SECONDS = 5  # per parse and per comparison, on the main thread, where a clock exists

_SCIENTIFIC = re.compile(r"(?<=\d)[eE]([-+]?\d{1,3})(?![\d.])", re.ASCII)
_POWER_IN_PARENTHESES = re.compile(r"\^\s*\(([^()]*)\)")
_BRACKET = re.compile(r"(?P<command>(?:\\[A-Za-z]+|[}\]^_])\s*\{)|[({\[]|(?P<close>[)}\]])")
_EAGER = re.compile(r"\\Gamma\s*[({]*\s*\d{4,}|\\d?t?binom\s*\{?\s*\d{4,}|\d{4,}\s*\\choose|\d{4,}.{0,3}[CP]_", re.ASCII)


def readable(text: str) -> bool:
    return _parsed(text) is not None


def equal(gold: str, answer: str, float_tolerance: float, strict: bool) -> bool:
    """Whether math-verify holds `answer` equal to `gold`; False where it cannot tell."""
    expected, given = _parsed(gold), _parsed(answer)
    if expected is None or given is None:
        return False
    if _too_large(expected) or _too_large(given) or _hedges(expected, given):
        return False
    if (close := _decimals_close(expected, given, float_tolerance)) is not None:
        return close
    from math_verify import verify
    from math_verify.errors import TimeoutException

    try:
        return bool(
            verify(
                expected,
                given,
                strict=strict,
                allow_set_relation_comp=True,
                timeout_seconds=_seconds(),
            )
        )
    except (Exception, TimeoutException):
        return False  # TimeoutException is a BaseException


@lru_cache(maxsize=16384)
def _parsed(text: str) -> Any:
    """The SymPy object that `text` means, unevaluated; None when it means none."""
    if not text or len(text) > MAX_CHARS or _EAGER.search(text):
        return None
    if _depth(text) > MAX_DEPTH or text.count("|") > MAX_BARS:
        return None
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns where no clock is given
    normal = NormalizationConfig(units=False, malformed_operators=True, nits=True, boxed="last")
    config = LatexExtractionConfig(boxed_match_priority=0, normalization_config=normal)
    text = _SCIENTIFIC.sub(r" \\times 10^{\1}", text)
    text = _POWER_IN_PARENTHESES.sub(r"^{\1}", text).replace("*", r" \cdot ")
    found = parse(
        rf"\boxed{{{text}}}", [config], fallback_mode="no_fallback", parsing_timeout=_seconds()
    )
    return found[0] if found else None


def _seconds() -> int | None:
    """math-verify's clock is SIGALRM, which only the main thread can set."""
    return SECONDS if threading.current_thread() is threading.main_thread() else None


def _depth(text: str) -> int:
    depth = deepest = 0
    opened: list[int] = []
    for match in _BRACKET.finditer(text):
        if match["close"]:
            depth -= opened.pop() if opened else 0
        else:
            opened.append(1 if match["command"] else 3)
            depth += opened[-1]
            deepest = max(deepest, depth)
    return deepest


def _too_large(expression: Any) -> bool:
    """Whether evaluating could fill the memory or take minutes. The parse itself is lazy."""
    import sympy

    if not isinstance(expression, sympy.Basic | sympy.MatrixBase):
        return True
    return any(_part_too_large(part) for part in sympy.preorder_traversal(expression))


def _part_too_large(part: Any) -> bool:
    import sympy

    if isinstance(part, sympy.Integral):
        return True  # an integral is a question, not an answer
    if isinstance(part, sympy.Sum | sympy.Product):
        bounds = [bound for limit in part.limits for bound in limit[1:] if bound.is_number]
        return any(_magnitude(bound) > math.log2(MAX_TERMS) for bound in bounds if bound.is_finite)
    if isinstance(part, sympy.factorial | sympy.factorial2 | sympy.binomial | sympy.gamma):
        numbers = [argument for argument in part.args if argument.is_number]
        return any(_magnitude(argument) > math.log2(MAX_FACTORIAL) for argument in numbers)
    if isinstance(part, sympy.Pow | sympy.MatPow):
        base, exponent = part.args
        if not part.free_symbols and not isinstance(part, sympy.MatPow):
            return _magnitude(part) > MAX_BITS
        return (
            exponent.is_number
            and not base.is_Symbol
            and _magnitude(exponent) > math.log2(MAX_EXPANSION)
        )
    return False


def _magnitude(expression: Any) -> float:
    """An upper bound of log2 of an unevaluated constant, computed in floats."""
    import sympy

    if isinstance(expression, sympy.Integer | sympy.Float | sympy.Rational):
        top = abs(expression.p) if isinstance(expression, sympy.Rational) else abs(float(expression))
        return math.log2(top) if top > 1 else 0.0
    sizes = [_magnitude(argument) for argument in expression.args]
    if isinstance(expression, sympy.Pow):
        base, exponent = sizes
        return math.inf if exponent > 60 else max(base, 1.0) * 2.0**exponent
    if isinstance(expression, sympy.factorial):
        return math.inf if sizes[0] > 30 else 2.0 ** sizes[0] * max(sizes[0], 1.0)
    if isinstance(expression, sympy.exp):
        return math.inf if sizes[0] > 30 else 2.0 * 2.0 ** sizes[0]
    return sum(sizes) + len(sizes) if sizes else 3.0


def _hedges(gold: Any, answer: Any) -> bool:
    """Several equations against one value: math-verify would look at the last one only."""
    from latex2sympy2_extended.logic import And
    from sympy import Eq

    if not isinstance(answer, And) or isinstance(gold, And):
        return False
    parts = [part for part in answer.args if isinstance(part, Eq)]
    chained = all(a.rhs == b.lhs for a, b in zip(parts, parts[1:], strict=False))
    return len(parts) > 1 and not chained and len({part.rhs for part in parts}) > 1


def _decimals_close(gold: Any, answer: Any, tolerance: float) -> bool | None:
    """How two real constants compare when one of them is a decimal; None for all else."""
    import sympy

    for side in (gold, answer):
        if not isinstance(side, sympy.Expr) or not side.is_number:
            return None
    if not (gold.has(sympy.Float) or answer.has(sympy.Float)):
        return None
    try:
        from r1_rewards.equality import close

        values = [Fraction(str(side.doit().evalf(30))) for side in (gold, answer)]
        percents = [side.has(sympy.UnevaluatedExpr) for side in (gold, answer)]
    except (ValueError, TypeError, ArithmeticError):
        return None
    if close(*values, tolerance):
        return True
    if percents[0] != percents[1]:
        scaled = [v * 100 if p else v for v, p in zip(values, percents, strict=True)]
        return close(*scaled, tolerance)
    return False
