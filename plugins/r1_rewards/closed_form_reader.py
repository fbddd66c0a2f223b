"""A recursive descent over the LaTeX of closed forms; UndecidedError for all it does not know."""

from __future__ import annotations

import re
from fractions import Fraction

from r1_rewards import surds
from r1_rewards.surds import INFINITY, ONE, Sum, UndecidedError

_TOKEN = re.compile(
    r"(\d+\.\d+|\.\d+|\d+|\\[A-Za-z]+|\\[{}\\]|[-+*/^()\[\]{},&a-zA-Z])\s*", re.ASCII
)
_CLOSES = {"(": (")", "]"), "[": ("]", ")"), r"\{": (r"\}",)}
_OPENS_SCALAR = ("(", r"\frac", r"\sqrt", r"\pi")
_VARIABLES = frozenset("abcijklmnopqrstuvwxyz")  # no functions, no constants; C may be c


class Reader:
    def __init__(self, text: str) -> None:
        self.tokens = [*_TOKEN.split(text)[1::2], "", "", ""]
        if "".join(_TOKEN.split(text)[::2]):
            raise UndecidedError
        self.at = 0

    @property
    def next(self) -> str:
        return self.tokens[self.at]

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, *tokens: str) -> str | None:
        return self.take() if self.next in tokens else None

    def expect(self, *tokens: str) -> None:
        if self.accept(*tokens) is None:
            raise UndecidedError

    def answer(self) -> list[Sum]:
        leaves = self.union() if r"\cup" in self.tokens else self.elements()
        self.expect("")
        return leaves

    def union(self) -> list[Sum]:
        """Intervals in order that do not touch, or share an open end: nothing to merge."""
        leaves: list[Sum] = []
        end, closed = float("-inf"), False
        while True:
            opening, pair = self.next, self.container()
            if opening not in ("(", "[") or len(pair) != 2:
                raise UndecidedError
            low, high = pair
            shared = bool(leaves) and low == leaves[-1] and opening == "(" and not closed
            apart = not leaves or surds.value(low) - end > surds.APART
            if not surds.value(low) < surds.value(high) or not (shared or apart):
                raise UndecidedError
            leaves += [low, high]
            end, closed = surds.value(high), self.tokens[self.at - 1] == "]"
            if not self.accept(r"\cup"):
                return leaves

    def elements(self) -> list[Sum]:
        leaves = self.element()
        while self.accept(","):
            leaves += self.element()
        return leaves

    def element(self) -> list[Sum]:
        start = self.at
        try:
            return [self.sum()]
        except UndecidedError:
            self.at = start
        sign = self.accept("-", "+")
        if sign or self.next == INFINITY:
            self.expect(INFINITY)
            return [{(1, ((INFINITY, 1),)): Fraction(-1 if sign == "-" else 1)}]
        return self.matrix() if self.next == r"\begin" else self.container()

    def container(self) -> list[Sum]:
        closing = _CLOSES.get(self.next)
        if closing is None:
            raise UndecidedError
        self.take()
        leaves = self.elements()
        self.expect(*closing)
        mixed = self.tokens[self.at - 1] != closing[0]
        if mixed and len(leaves) != 2:
            raise UndecidedError
        if closing[0] != r"\}" and len(leaves) == 2:
            self.pair(leaves, mixed)
        return leaves

    def pair(self, leaves: list[Sum], mixed: bool) -> None:
        """All intervals from high to low are the empty set; a point of integers is a point."""
        plain = all(set(leaf) <= {ONE} and leaf.get(ONE, 0) % 1 == 0 for leaf in leaves)
        if mixed or not plain:
            low, high = map(surds.value, leaves)
            if not low < high:
                raise UndecidedError

    def matrix(self) -> list[Sum]:
        name = self.environment(r"\begin")
        leaves = [self.sum()]
        while self.accept("&", r"\\"):
            leaves.append(self.sum())
        if name not in ("pmatrix", "bmatrix") or self.environment(r"\end") != name:
            raise UndecidedError
        return leaves

    def environment(self, command: str) -> str:
        self.expect(command)
        self.expect("{")
        end = self.tokens.index("}", self.at)
        name, self.at = "".join(self.tokens[self.at : end]), end + 1
        return name

    def sum(self) -> Sum:
        sign = -1 if self.accept("-", "+") == "-" else 1
        total = surds.times(self.product(), {ONE: Fraction(sign)})
        while operator := self.accept("+", "-"):
            total = surds.add(total, self.product(), 1 if operator == "+" else -1)
        return total

    def product(self) -> Sum:
        total, last = self.power(), self.tokens[self.at - 1]
        while True:
            if self.accept(r"\cdot", r"\times", "*"):
                total = surds.times(total, self.power())
            elif self.accept("/"):
                total = surds.times(total, surds.inverse(self.power()))
                if self.next not in ("", "+", "-", ",", ")", "]", "}", r"\}", "&", r"\\", r"\end"):
                    raise UndecidedError  # is 1/2x half of x or one over 2x?
                return total
            elif self.next in _OPENS_SCALAR or self.next.isalpha():
                unlike = last.isalpha() and (self.next.isalpha() or self.next == "(")
                if unlike or (last[-1].isdigit() and self.fraction_ahead()):
                    raise UndecidedError  # a word, a function, a mixed number
                total = surds.times(total, self.power())
            else:
                return total
            last = self.tokens[self.at - 1]

    def fraction_ahead(self) -> bool:
        """`3\\frac12` is mixed for math-verify, and so is `3(\\frac12)`."""
        ahead = self.at
        while self.tokens[ahead] in ("(", "{", "+"):
            ahead += 1
        return self.tokens[ahead] == r"\frac"

    def power(self) -> Sum:
        base = self.atom()
        if not self.accept("^"):
            return base
        braced = self.accept("{")
        sign = -1 if braced and self.accept("-") else 1
        exponent = self.take()
        if braced:
            self.expect("}")
        if not exponent.isdecimal() or int(exponent) > surds.MAX_POWER or self.next == "^":
            raise UndecidedError
        total: Sum = {ONE: Fraction(1)}
        for _ in range(int(exponent)):
            total = surds.times(total, base)
        return total if sign == 1 else surds.inverse(total)

    def atom(self) -> Sum:
        part = self.take()
        if part[-1:].isdigit():
            number = Fraction(part)
            if max(number.numerator, number.denominator) > surds.MAX_SIZE:
                raise UndecidedError
            return {ONE: number} if number else {}
        if part == r"\pi" or part in _VARIABLES:
            return {(1, ((part, 1),)): Fraction(1)}
        if part == "(":
            return self.until(")")
        if part == r"\sqrt":
            return surds.square_root(self.argument())
        if part != r"\frac":
            raise UndecidedError
        if len(self.next) == 2 and self.next.isdecimal():  # \frac12
            top, bottom = self.take()
            return {ONE: Fraction(int(top), int(bottom))} if top != "0" else {}
        return surds.times(self.argument(), surds.inverse(self.argument()))

    def until(self, closing: str) -> Sum:
        inside = self.sum()
        self.expect(closing)
        return inside

    def argument(self) -> Sum:
        """In braces, or one digit: the second digit of `\\sqrt12` is a convention."""
        if self.accept("{"):
            return self.until("}")
        if not (len(self.next) == 1 and self.next.isdigit()):
            raise UndecidedError
        return self.atom()
