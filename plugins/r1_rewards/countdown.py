"""The Countdown game: reach the target from the numbers, the task that TinyZero made known."""

# ruff: noqa: RUF001 - the signs that look like others are the point

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction

from r1_rewards.final_answer import final_answer
from r1cli import Completion

MAX_CHARS = 200  # of an equation: more than any six numbers need
MAX_DEPTH = 20  # of brackets and signs
MAX_DIGITS = 12  # of one number, and no more operands than MAX_CHARS allows: sizes stay bounded

_TOKEN = re.compile(r"\s*(\d+|[-+*/()])", re.ASCII)
_SPELLINGS = [
    (re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"((\1)/(\2))"),
    (re.compile(r"\\times|\\cdot|×|·|\\ast"), "*"),
    (re.compile(r"\\div|÷"), "/"),
    (re.compile(r"−|–"), "-"),
    (re.compile(r"\\left|\\right|\\[,;! ()\[\]]|\$"), " "),
    (re.compile(r"[\[{]"), "("),
    (re.compile(r"[\]}]"), ")"),
]


def countdown(
    completions: list[Completion],
    numbers: list[list[int] | None],
    target: list[int | None],
    *,
    format_score: float = 0.0,
) -> list[float | None]:
    """1.0 for an equation that uses every number once and reaches the target.

    Columns: `numbers`, the integers to use; `target`, the integer to reach;
    None where a row has none.

    The equation is the declared answer (see `accuracy`) of the answer section: integers, `+ - * /`
    and brackets, in plain or LaTeX spelling. A tail `= target` is allowed; another right-hand side
    is a wrong equation. Values are exact fractions, and nothing is ever evaluated as Python.

    Args:
        format_score: for an equation that is well formed but wrong: other numbers, another value,
            a division by zero. TinyZero gives 0.1; 0.0 by default, because it is paid for nothing.

    Range: {0.0, format_score, 1.0, None}. Source: TinyZero's `countdown.py`, with its two scores.

    Pays:
        right_last: the last declaration decides, so a text may correct itself; the right answer
            never counts before a wrong one.
    """
    goals = [_target(goal) for goal in target]
    return [
        None if given is None or goal is None else _score(completion, given, goal, format_score)
        for completion, given, goal in zip(completions, numbers, goals, strict=True)
    ]


def _target(goal: object) -> Fraction | None:
    """A number, or its text; None for anything else."""
    try:
        return Fraction(str(goal))
    except (ValueError, ZeroDivisionError):
        return None


def _score(completion: str, given: list[int], goal: Fraction, format_score: float) -> float:
    whole = completion if isinstance(completion, Completion) else Completion(completion)
    answer = final_answer(whole.answer)
    parsed = _parse(answer) if answer is not None else None
    if parsed is None:
        return 0.0
    value, used, claimed = parsed
    return 1.0 if value == goal == claimed and used == Counter(map(int, given)) else format_score


def _parse(equation: str) -> tuple[Fraction | None, Counter[int], Fraction | None] | None:
    """Value (None: division by zero), numbers used, value claimed; None if malformed."""
    if len(equation) > MAX_CHARS:
        return None
    for pattern, replacement in _SPELLINGS:
        equation = pattern.sub(replacement, equation)
    left, equals, right = equation.partition("=")
    try:
        reader = _Reader(left)
        value = reader.whole()
        claimed = _Reader(right).whole() if equals else value
    except ValueError:
        return None
    return value, Counter(reader.used), claimed


class _Reader:
    """A recursive-descent reader of sums. Raises ValueError where the text is not one."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        if _TOKEN.sub("", text).strip():
            raise ValueError("a character that no sum has")
        self.used: list[int] = []
        self.depth = 0

    def whole(self) -> Fraction | None:
        value = self._sum()
        if self.tokens:
            raise ValueError("text after the sum")
        return value

    def _next(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def _sum(self) -> Fraction | None:
        value = self._product()
        while self._next() in ("+", "-"):
            sign = 1 if self.tokens.pop(0) == "+" else -1
            term = self._product()
            value = None if value is None or term is None else value + sign * term
        return value

    def _product(self) -> Fraction | None:
        value = self._operand()
        while self._next() in ("*", "/"):
            divides = self.tokens.pop(0) == "/"
            factor = self._operand()
            if value is None or factor is None or (divides and factor == 0):
                value = None
            else:
                value = value / factor if divides else value * factor
        return value

    def _operand(self) -> Fraction | None:
        self.depth += 1
        if not self.tokens or self.depth > MAX_DEPTH:
            raise ValueError("nothing to read, or too deep")
        piece = self.tokens.pop(0)
        if piece == "(":
            value = self._sum()
            if not self.tokens or self.tokens.pop(0) != ")":
                raise ValueError("a bracket is not closed")
        elif piece == "-":
            inner = self._operand()
            value = None if inner is None else -inner
        elif piece.isdigit() and len(piece) <= MAX_DIGITS:
            value = Fraction(int(piece))
            self.used.append(int(piece))
        else:
            raise ValueError("an operand is missing")
        self.depth -= 1
        return value
