"""How texts are made comparable before their words are: the levels of decontamination."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """How far two texts may differ and still be the same: `normalise` leaves words and blanks.

    `whole` compares texts of fewer than n words as a whole; without it they are never found.
    `joined` says that it looks at each character of an ASCII text alone, so that many texts are
    normalised in one piece, ten times as fast.
    """

    normalise: Callable[[str], str]
    whole: bool
    joined: bool


_LATEX_SPACING = re.compile(
    r"\\(?:[,;:!> ]|(?:q?quad|left|right|[bB]igg?[lr]?|(?:display|text)style|limits)(?![a-z]))|~"
)
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|mathit|textbf|textit|mbox|operatorname)\b")
_SIZED = re.compile(r"\\[dtc](?=(?:frac|binom)\b)")
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|,)(?=\d{3}(?!\d))")
# Scripts that write no blanks: every character is a word.
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]|\d+|[^\W\d_]+")


def robust(text: str) -> str:
    """Letters and digits only: no punctuation, no LaTeX spacing or fonts, `1,000` as `1000`."""
    text = unicodedata.normalize("NFKC", text)
    text = _THOUSANDS.sub("", _LATEX_SPACING.sub(" ", text))
    text = _SIZED.sub(" ", _LATEX_TEXT.sub(" ", text))
    return " ".join(_TOKEN.findall(text.casefold()))


LEVELS = {
    "open-r1": Level(str.lower, whole=False, joined=True),
    "robust": Level(robust, whole=True, joined=False),
}
