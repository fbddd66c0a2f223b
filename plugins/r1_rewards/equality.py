"""Are two answers equal? Numbers, letters and words here; the rest goes to math-verify."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from r1_rewards import closed_form, symbolic
from r1_rewards.limits import MAX_CHARS
from r1_rewards.tidy import SCALE, tidy

_NUMBER = r"[-+]?\s?[€£¥]?(?:\d{1,3}(?:[, ]\d{3})+(?:\.\d*)?|\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?"
_QUANTITY = re.compile(
    rf"(?P<number>{_NUMBER})\s*(?P<percent>\\%|percent(?:age)?\b|pct\b)?"
    r"(?P<unit>\^\s*\{?\s*\\circ\s*\}?\s*[CF]?"
    r"|(?: [A-Za-z]{2,}(?:[A-Za-z ./]|\^\d|(?<=[A-Za-z])\d)*)?)\.?",  # and no second quantity
    re.ASCII,
)
_RATIO = re.compile(
    r"(?P<sign>-?)\s*(?:\\frac\s*\{\s*(?P<a>-?\d+)\s*\}\s*\{\s*(?P<b>\d+)\s*\}"
    r"|(?P<whole>\d+\s+)?(?P<c>\d+)\s*/\s*(?P<d>\d+))",
    re.ASCII,
)
_BASED = re.compile(r"(?P<digits>[0-9A-Za-z]+)_\{?(?P<base>\d{1,2})\}?", re.ASCII)
_NO_UNIT = frozenset(
    ("and", "or", "sqrt", "infinity", "mod", "to", "by", "plus", "minus", "times", "dozen")
)
_CHOICE = re.compile(
    r"\(?\s*(?P<letter>[A-Z])\s*(?:\)|(?:[.:)](?=\s)|\s[-(]\s*(?=[A-Za-z]{3}))(?P<rest>.*))?\.?",
    re.ASCII,
)
_CHOSEN = re.compile(r"\(?[A-Z]\)\s+(?=\S)", re.ASCII)
_OTHER_CHOICE = re.compile(r"\b(?:or|and)\s*\(?[A-Z]\b|[,/;&]\s*\(?[A-Z]\b|\(?\b[A-Z][).:]")
_SHOWN_REVERSED = "\u202e"  # a reader sees 81 where the text holds 18
_SPACES = re.compile(
    r"(?<!\d)\s+(?![A-Za-z])|(?<![A-Za-z\\])\s+(?!\d)|(?<=\d)\s+(?=\d{3}(?!\d))", re.ASCII
)
_WRAPPED = re.compile(r"\\text\s*\{(?P<inside>[^{}]*)\}")
_WORDS = re.compile(r"(?:[^\W\d_]{2,} )*[^\W\d_]{3,}|yes|no", re.IGNORECASE)
_NOT_WORDS = frozenset(("infinity", "inf", "exp", "log", "sin", "cos", "tan"))


@dataclass(frozen=True)
class Number:
    value: Fraction
    decimal: bool = False
    percent: bool = False


@dataclass(frozen=True)
class Gold:
    """A gold answer that can be compared with; `value` is a number, a letter or a word."""

    text: str
    kind: Literal["number", "choice", "words", "symbolic"]
    value: Number | str | None = None


def read_gold(answer: str) -> Gold | None:
    """What `answer` is; None when neither this module nor math-verify can read it."""
    text = tidy(answer)
    if (number := read_number(text)) is not None:
        return Gold(text, "number", number)
    if (letter := _choice(text)) is not None:
        return Gold(text, "choice", letter)
    if (words := _words(text)) is not None:
        return Gold(text, "words", words)
    known = closed_form.read(text) is not None or symbolic.readable(text)
    return Gold(text, "symbolic") if known else None


@lru_cache(maxsize=16384)
def equal(gold: Gold, answer: str, float_tolerance: float, strict: bool) -> bool:
    """Whether `answer`, as written, is the gold answer. Raises symbolic.TookTooLong."""
    if _SHOWN_REVERSED in answer:
        return False
    text = tidy(answer)
    if _squeezed(text) == _squeezed(gold.text):
        return True
    if gold.kind == "choice":
        return _choice(text) == gold.value
    if chosen := _CHOSEN.match(text):
        return equal(gold, text[chosen.end() :], float_tolerance, strict)
    if gold.kind == "words":
        return _words(text) == gold.value
    number = read_number(text)
    if isinstance(gold.value, Number) and number is not None:
        return _numbers_equal(gold.value, number, float_tolerance)
    based, gold_based = _BASED.fullmatch(text), _BASED.fullmatch(gold.text)
    if based and gold_based:
        return _value(based) == _value(gold_based)
    if number is None and _words(text) is not None:
        return False  # letters multiply and commute for math-verify: evil = live
    verdict = closed_form.equal(gold.text, text, float_tolerance, strict)
    if verdict is not None:
        return verdict
    return symbolic.equal(gold.text, text, float_tolerance, strict)


def read_number(text: str) -> Number | None:
    """The value of a tidy plain number, fraction or quantity; None for all else."""
    if len(text) > MAX_CHARS:
        return None  # Python reads integers up to 4300 digits
    if match := _RATIO.fullmatch(text):
        whole, top = int(match["whole"] or 0), int(match["a"] or match["c"])
        bottom = int(match["b"] or match["d"])
        sign = -1 if match["sign"] else 1
        return Number(sign * (whole + Fraction(top, bottom))) if bottom else None
    match = _QUANTITY.fullmatch(text)
    if not match:
        return None
    unit = match["unit"].split()
    scale = SCALE.get(unit[0], 1) if unit else 1
    if any(word in _NO_UNIT or (scale == 1 and word in SCALE) for word in unit):
        return None
    digits = re.sub(r"[ ,€£¥]", "", match["number"])
    decimal = any(c in digits for c in ".eE")
    return Number(Fraction(digits) * scale, decimal, bool(match["percent"]))


def _numbers_equal(gold: Number, answer: Number, tolerance: float) -> bool:
    """Exact, unless one is a decimal. `9%` is 0.09 and also 9, as for math-verify."""
    golds, answers = {gold.value}, {answer.value}
    if gold.percent != answer.percent:
        golds |= {gold.value / 100} if gold.percent else set()
        answers |= {answer.value / 100} if answer.percent else set()
    if not (gold.decimal or answer.decimal):
        return bool(golds & answers)
    return any(symbolic.close(g, a, tolerance) for g in golds for a in answers)


def _value(based: re.Match[str]) -> int | None:
    try:
        return int(based["digits"], int(based["base"]))
    except ValueError:
        return None


def _choice(text: str) -> str | None:
    """The letter of `B`, `(B)`, `\\text{B}`, `B. Paris`; None where a second letter is offered."""
    match = _CHOICE.fullmatch(_unwrapped(text))
    return None if not match or _OTHER_CHOICE.search(match["rest"] or "") else match["letter"]


def _words(text: str) -> str | None:
    inside = _unwrapped(text)
    if inside == text and (not _WORDS.fullmatch(text) or _NOT_WORDS.intersection(text.split())):
        return None
    return " ".join(inside.casefold().split()).rstrip(".!") or None


def _unwrapped(text: str) -> str:
    match = _WRAPPED.fullmatch(text)
    return match["inside"].strip() if match else text


def _squeezed(text: str) -> str:
    """Without the spaces that mean nothing: not those of two words, nor of `1 1/2` and `7 8`."""
    return _SPACES.sub("", text)
