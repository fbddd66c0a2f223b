"""What is not computed with: a policy can write in ten characters what takes an hour."""

from __future__ import annotations

import math
import re
from typing import Any

MAX_CHARS = 1_000  # of an answer that is parsed
MAX_DEPTH = 24  # of nested brackets, where one that belongs to no command counts three times:
# the parser backtracks, and its time doubles with each
MAX_BARS = 8  # of absolute values, for the same reason
MAX_BITS = 50_000  # of an integer that a power may build: 10^10000 passes, 9^9^9 does not
MAX_FACTORIAL = 2_000
MAX_TERMS = 1_000  # of a sum or product with numbers as bounds
MAX_EXPANSION = 200  # the exponent of a bracket with variables, which simplifying may multiply out

_BRACKET = re.compile(r"(?P<command>(?:\\[A-Za-z]+|[}\]^_])\s*\{)|[({\[]|(?P<close>[)}\]])")
_EAGER = re.compile(
    r"\\Gamma\s*[({]*\s*\d{4,}|\\d?t?binom\s*\{?\s*\d{4,}|\d{4,}\s*\\choose|\d{4,}.{0,3}[CP]_",
    re.ASCII,
)


def costly_text(text: str) -> bool:
    """Whether the parser would take seconds, or evaluate something large while it reads."""
    return (
        len(text) > MAX_CHARS
        or text.count("|") > MAX_BARS
        or _EAGER.search(text) is not None
        or _depth(text) > MAX_DEPTH
    )


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


def too_large(expression: Any) -> bool:
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
        rational = isinstance(expression, sympy.Rational)
        top = abs(expression.p) if rational else abs(float(expression))
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
