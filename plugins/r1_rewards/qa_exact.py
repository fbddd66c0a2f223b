"""Short answers in words: the exact match of question answering."""

from __future__ import annotations

import re
import string

from r1_rewards.final_answer import final_answer
from r1_rewards.gold_texts import gold_texts
from r1cli import Completion

_ANNOUNCED = re.compile(r"(?i)\banswer(?:\s+is|\s*:)\s*\**([^\n]+)")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def qa_exact(
    completions: list[Completion], solution: list[str | list[str] | None]
) -> list[float | None]:
    """1.0 where the answer is one of the gold answers after SQuAD's normalisation, else 0.0.

    Columns: `solution`, a gold answer or a list of accepted ones; None where it is empty. Case,
    punctuation, the articles a, an, the, and spacing do not count. The answer is what is
    in the last `<answer>` or box, else what follows the last "answer is", else all of the section
    after `</think>`.

    Range: {0.0, 1.0, None}. Source: Rajpurkar et al., SQuAD (arXiv 1606.05250), the official
    evaluation's `exact_match_score`.

    Pays:
        right_last: the last declaration decides, so a text may correct itself; the right answer
            never counts before a wrong one.
        percent, negative, deep_brackets: SQuAD's normalisation drops all punctuation.
    """
    rewards: list[float | None] = []
    for completion, gold in zip(completions, solution, strict=True):
        accepted = {_normal(text) for text in gold_texts(gold)} - {""}
        rewards.append(float(_normal(_answer(completion)) in accepted) if accepted else None)
    return rewards


def _answer(completion: str) -> str:
    whole = completion if isinstance(completion, Completion) else Completion(completion)
    section = whole.answer
    if "<answer>" in section:
        section = section.rpartition("<answer>")[2].partition("</answer>")[0]
    if "\\boxed" in section:
        return re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", final_answer(section) or "")
    announced = _ANNOUNCED.findall(section)
    return announced[-1] if announced else section


def _normal(text: str) -> str:
    bare = text.casefold().translate(_NO_PUNCTUATION)
    return " ".join(word for word in bare.split() if word not in ("a", "an", "the"))
