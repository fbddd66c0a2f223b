"""Sums of rational multiples of square roots times powers of pi and of variables, exactly.

Square roots of different square-free integers are linearly independent over the rationals, and so
are their products with powers of pi and of variables: two sums are equal when their terms are.
"""

from __future__ import annotations

import math
from fractions import Fraction

MAX_POWER = 20
MAX_TERMS = 20
MAX_SIZE = 10**9  # of numerators, denominators and what is under a root
APART = 1e-6  # what differs by less is left to math-verify, which looks at 15 digits,
APART_ROUNDED = 1e-3  # or, where one side is a decimal, at the tolerance

Term = tuple[int, tuple[tuple[str, int], ...]]  # what is under the root; names and their powers
Sum = dict[Term, Fraction]

ONE: Term = (1, ())
INFINITY = r"\infty"


class UndecidedError(Exception):
    """Not wholly understood: the full check decides."""


def variables(a: Sum) -> list[str]:
    return [name for _, names in a for name, _ in names if name != r"\pi"]


def value(a: Sum) -> float:
    """Of a constant; a term with infinity is infinite."""
    total = 0.0
    for (root, names), factor in a.items():
        powers = dict(names)
        size = math.inf if powers.pop(INFINITY, 0) else math.pi ** powers.pop(r"\pi", 0)
        if powers:
            raise UndecidedError
        total += float(factor) * math.sqrt(root) * size
    return total


def apart(a: Sum, b: Sum, rounded: bool) -> bool:
    """Whether two sums differ by more than any rounding."""
    least = APART_ROUNDED if rounded else APART
    rest = add(a, b, -1)
    if variables(rest):
        return all(abs(factor) > least for factor in rest.values())
    return abs(value(rest)) > least


def add(a: Sum, b: Sum, sign: int = 1) -> Sum:
    total = dict(a)
    for term, factor in b.items():
        total[term] = total.get(term, Fraction(0)) + sign * factor
    return {term: factor for term, factor in total.items() if factor}


def times(a: Sum, b: Sum) -> Sum:
    total: Sum = {}
    for (root, names), factor in a.items():
        for (other, others), by in b.items():
            common = math.gcd(root, other)
            powers = dict(names)
            for name, power in others:
                powers[name] = powers.get(name, 0) + power
            left = tuple(sorted((name, power) for name, power in powers.items() if power))
            term = (root * other // common**2, left)
            total = add(total, {term: factor * by * common})
    if len(total) > MAX_TERMS or any(_large(term, factor) for term, factor in total.items()):
        raise UndecidedError
    return total


def _large(term: Term, factor: Fraction) -> bool:
    """math-verify has i as a number here and as a variable there: its powers are not ours."""
    return max(term[0], abs(factor.numerator), factor.denominator) > MAX_SIZE or any(
        abs(power) > (1 if name == "i" else MAX_POWER) for name, power in term[1]
    )


def inverse(a: Sum) -> Sum:
    if len(a) != 1 or variables(a):
        raise UndecidedError
    [((root, names), factor)] = a.items()
    return {(root, tuple((name, -power) for name, power in names)): 1 / (factor * root)}


def square_root(a: Sum) -> Sum:
    total = a.get(ONE, Fraction(0))
    number, outside, divisor = total.numerator * total.denominator, 1, 2
    if set(a) != {ONE} or not 0 < number < MAX_SIZE:
        raise UndecidedError
    while divisor * divisor <= number:
        while number % divisor**2 == 0:
            number //= divisor**2
            outside *= divisor
        divisor += 1
    return {(number, ()): Fraction(outside, total.denominator)}
