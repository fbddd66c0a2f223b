"""A penalty for saying the same again."""

from __future__ import annotations

import unicodedata
from typing import Literal

from r1cli import Completion, UsageError, require

PUNCTUATION = ".,;:!?'\""
LONG_WORD = 60  # characters: longer than words are, a formula or a loop without spaces
PART = 8


def repetition_penalty(
    completions: list[Completion],
    *,
    n_grams: int = 3,
    max_penalty: float = -1.0,
    language: Literal["en", "zh"] = "en",
) -> list[float]:
    """`max_penalty` times the share of n-grams that occurred before in the same text.

    Columns: none. A text with fewer than `n_grams` words has nothing to repeat: 0.

    Args:
        n_grams: how many words are one unit.
        max_penalty: the reward of a text that only repeats itself; 0 or less.
        language: "en" splits at spaces, in lower case, without the punctuation of sentences and
            invisible characters; a run of over 60 characters counts as words of 8. "zh" segments
            with jieba (extra: zh).

    Range: [max_penalty, 0]. Source: Yeo et al. (arXiv 2502.03373), appendix, as in open-r1.

    Pays:
        disguised_by_numbers: with a number after every word no n-gram is said twice.
    """
    if max_penalty > 0:
        raise UsageError(f"repetition_penalty: max_penalty = {max_penalty} must not be positive")
    if n_grams < 1:
        raise UsageError(f"repetition_penalty: n_grams = {n_grams} must be at least 1")
    return [_repeated(_words(text, language), n_grams) * max_penalty for text in completions]


def _words(text: str, language: str) -> list[str]:
    if language == "en":
        plain = unicodedata.normalize("NFKC", text).lower()
        words = "".join(c for c in plain if unicodedata.category(c) != "Cf").split()
        return [part for word in words for part in _parts(word.strip(PUNCTUATION) or word)]
    require("zh", "jieba")
    import jieba

    return list(jieba.cut(text))


def _parts(word: str) -> list[str]:
    """A run without spaces repeats itself inside: it is taken apart."""
    if len(word) <= LONG_WORD:
        return [word]
    return [word[i : i + PART] for i in range(0, len(word), PART)]


def _repeated(words: list[str], n: int) -> float:
    total = len(words) - n + 1
    if total < 1:
        return 0.0
    return 1 - len(set(zip(*(words[i:] for i in range(n)), strict=False))) / total
