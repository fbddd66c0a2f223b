"""A penalty for saying the same again."""

from __future__ import annotations

from typing import Literal

from r1cli import Completion, UsageError, require


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
        language: "en" splits at spaces, in lower case; "zh" segments with jieba (extra: zh).

    Range: [max_penalty, 0]. Source: Yeo et al. (arXiv 2502.03373), appendix, as in open-r1.
    """
    if max_penalty > 0:
        raise UsageError(f"repetition_penalty: max_penalty = {max_penalty} must not be positive")
    if n_grams < 1:
        raise UsageError(f"repetition_penalty: n_grams = {n_grams} must be at least 1")
    return [_repeated(_words(text, language), n_grams) * max_penalty for text in completions]


def _words(text: str, language: str) -> list[str]:
    if language == "en":
        return text.lower().split()
    require("zh", "jieba")
    import jieba

    return list(jieba.cut(text))


def _repeated(words: list[str], n: int) -> float:
    total = len(words) - n + 1
    if total < 1:
        return 0.0
    return 1 - len(set(zip(*(words[i:] for i in range(n)), strict=False))) / total
