"""How much of a reference text an answer says, in its order: for answers that are prose."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal

from r1_rewards.gold_texts import gold_texts
from r1cli import Completion, require

MAX_WORDS = 2_000  # of either text that are compared: the table has the product of both as cells

# ROUGE's own tokenizer keeps [a-z0-9] only: every Chinese or Russian text is empty. Words of other
# alphabets count here, and scripts without spaces (Thai to Khmer, kana, Han) by the letter.
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_SPACELESS}]|[^\W_{_SPACELESS}]+")


def rouge_l(
    completions: list[Completion],
    solution: list[str | list[str] | None],
    *,
    measure: Literal["fmeasure", "precision", "recall"] = "fmeasure",
    stemmer: bool = False,
) -> list[float | None]:
    """The longest common subsequence of words of the answer and the gold text, as a share of both.

    Columns: `solution`, the gold text or a list of accepted ones, of which the best counts; None
    where it has no words. Read is what follows `</think>`, and inside it the last `<answer>`; an
    answer without words gets 0.

    Args:
        measure: "precision", the share of the answer's words that are in the subsequence;
            "recall", of the gold's; "fmeasure", their harmonic mean.
        stemmer: compare English words by their stem (Porter).

    Range: [0, 1] or None. Source: Lin, ROUGE (2004), by the library rouge-score (extra: rewards),
    whose values it has for texts in ASCII. Limit: words past the first 2,000 of a text match
    nothing, but count.

    Pays:
        any: it measures overlap, so whatever quotes the gold is paid its share, a denial of it too;
            use it for prose that nothing else can judge.
    """
    require("rewards", "rouge_score")
    return [
        _best(_answer(completion), gold, measure, stemmer)
        for completion, gold in zip(completions, solution, strict=True)
    ]


def _best(answer: str, gold: str | list[str] | None, measure: str, stemmer: bool) -> float | None:
    golds = [text for text in gold_texts(gold) if _WORD.search(text)]
    if not golds:
        return None
    return max(_score(answer, text, measure, stemmer) for text in golds)


def _score(answer: str, gold: str, measure: str, stemmer: bool) -> float:
    score = _scorer(stemmer).score(gold, answer)["rougeL"]
    precision = score.precision * _kept(answer)
    recall = score.recall * _kept(gold)
    if measure == "precision":
        return float(precision)
    if measure == "recall":
        return float(recall)
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _kept(text: str) -> float:
    """The share of the words of `text` that are compared."""
    return min(1.0, MAX_WORDS / max(1, len(_WORD.findall(text))))


def _answer(completion: str) -> str:
    whole = completion if isinstance(completion, Completion) else Completion(completion)
    section = whole.answer
    if "<answer>" in section:
        section = section.rpartition("<answer>")[2].partition("</answer>")[0]
    return section


class _Words:
    """The tokenizer that rouge-score asks for."""

    def __init__(self, stemmer: bool) -> None:
        from nltk.stem.porter import PorterStemmer

        self.stem = PorterStemmer().stem if stemmer else None

    def tokenize(self, text: str) -> list[str]:
        words = _WORD.findall(text.lower())[:MAX_WORDS]
        if self.stem is None:
            return words
        return [self.stem(word) if len(word) > 3 else word for word in words]  # as rouge-score does


@lru_cache(maxsize=2)
def _scorer(stemmer: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=_Words(stemmer))
