"""An answer as it is compared: without what does not change its meaning, in one spelling."""

# ruff: noqa: RUF001 - the signs that look like others are the point

from __future__ import annotations

import re
import unicodedata

_UNICODE = str.maketrans(
    {
        "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "÷": r"\div ", "π": r"\pi ",
        "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
        "°": r"^\circ ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
        "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
        "，": ",", "（": "(", "）": ")", "：": ":", "\u00a0": " ", "\u2009": " ", "\u202f": " ",
    }
)  # fmt: skip
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_LOWERED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
SCALE = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_MARKUP = [
    (re.compile(r"\\(?:left|right|displaystyle|textstyle|[bB]ig[lr]?)(?![A-Za-z])"), ""),
    (re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])"), ""),
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\frac\s*\\pi(?![A-Za-z])\s*"), r"\\frac{\\pi}"),
    (re.compile(r"\\text(?:bf|it|rm|normal)|\\math(?:rm|bf|it|sf)|\\mbox"), r"\\text"),
    (re.compile(r"^\s*\\text\{\s*(\([A-Z]\))\s*\}"), r"\1 "),
    (re.compile(rf"\\text\{{\s*((?:{'|'.join(SCALE)})\b[^{{}}]*)\}}"), r" \1"),
    (re.compile(r"(?<=\d)(?:,\\!\s*|\s*\{\s*,\s*\}|\\,)(?=\d{3}(?!\d))"), ""),  # thousands
    (re.compile(r"\\!\s*|\{\}|\\phantom\{[^{}]*\}"), ""),
    (re.compile(r"(?<!\\)\\[,;: ]|\\q?quad(?![A-Za-z])|~|\s+"), " "),
    (re.compile(r"\\\$|\$|(?<!\\)\\[\[\]()]"), ""),
    (re.compile(r"\{\s*,\s*\}"), ","),
    (re.compile(r"(?<!\\)%"), r"\%"),
    (re.compile(r"^\s*\\approx(?![A-Za-z])"), ""),
    (re.compile(r"\\varnothing(?![A-Za-z])"), r"\\emptyset"),
    (re.compile(r"(?<![\\A-Za-z])pi(?![A-Za-z])"), r"\\pi "),
    (re.compile(r"(?:√|(?<![\\A-Za-z])sqrt)\s*(?:\(([^()]*)\)|(\d+))"), r"\\sqrt{\1\2}"),
    (re.compile("√"), r"\\sqrt "),
    (re.compile(r"(?<=\S)\s*\\text\{(?!\s*(?:and|or)\s*\})[^{}()]*\}(?:\^\{?\d\}?)?\s*$"), ""),
]


def tidy(answer: str) -> str:
    """`answer` without what does not change its meaning: dollar signs, spacing, sizes, units."""
    text = "".join(c for c in answer if unicodedata.category(c) != "Cf").translate(_UNICODE)
    text = _RAISED.sub(_exponent, text)
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return text.strip().rstrip(".,;").strip()


def _exponent(raised: re.Match[str]) -> str:
    text = raised[0].translate(_LOWERED)
    return f"^{text}" if len(text) == 1 else f"^{{{text}}}"
