"""Genuine problems to attack a reward with, taken from its golden cases."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from r1cli import signature
from r1cli.errors import UsageError
from r1cli.lab.golden import Case, Expectation
from r1cli.registry import Entry
from r1cli.types import Completion

Kind = Literal["answer", "code", "shape", "penalty"]
MOST = 8  # problems per audit

_ANSWER_TAG = re.compile(r"<answer>\s*(.*?)\s*</answer>", re.DOTALL)
_BOX = re.compile(r"\\boxed\{(.*)\}", re.DOTALL)
_FENCED = re.compile(r"```[\w+]*\n(.*?)\n```", re.DOTALL)
_SAID = re.compile(r"(?i)answer is\s+(.*?)\.?$", re.DOTALL)


@dataclass(frozen=True)
class Problem:
    """A golden case with a prompt: what was asked, and a completion that is judged rightly.

    For a penalty `honest` is the text that it punishes. `others` are the rest of its group, where
    the case is one; `decoys` are wrong answers; `worst` is the golden text that is paid least.
    """

    prompt: str
    columns: Mapping[str, Any]
    args: Mapping[str, Any]
    honest: Completion
    others: tuple[Completion, ...]
    answer: str
    decoys: tuple[str, str]
    worst: str

    def declare(self, answer: str) -> str:
        """The honest completion with another answer in the place of its own."""
        before, _, after = self.honest.rpartition(self.answer)
        return before + answer + after


def kind_of(entry: Entry, cases: Sequence[Case]) -> Kind:
    """Which attacks apply: those on a program, where the reward runs one; on an answer, where it
    has a column to compare with; on a penalty, where it never pays more than 0; else on the shape
    of the text."""
    if "code" in signature.services(entry.load()):
        return "code"
    columns = signature.columns(entry.load())
    references = "solution" in columns.optional and any(c.columns.get("solution") for c in cases)
    if columns.required or references:
        return "answer"
    return "penalty" if max(map(_top, cases)) <= 0 else "shape"


def problems(entry: Entry, cases: Sequence[Case], kind: Kind) -> list[Problem]:
    """The golden cases with a prompt that are honest, or for a penalty, that are punished."""
    asked = [case for case in cases if case.prompt and None not in case.expect]
    if kind == "penalty":
        asked = [case for case in asked if _top(case) < 0]
    else:
        best = max(map(_top, cases))
        asked = [case for case in asked if _top(case) >= best / 2]
    if not asked:
        raise UsageError(
            f"reward {entry.name!r} cannot be audited: none of its golden cases has a prompt and "
            f"is {'punished' if kind == 'penalty' else 'an honest answer that pays'}"
        )
    asked = asked[:MOST]
    read = program_of if kind == "code" else answer_of
    answers = [read(case.completions[0]) for case in asked]
    worst = _worst(cases)
    return [_problem(case, i, answers, worst) for i, case in enumerate(asked)]


def answer_of(text: str) -> str:
    """What `text` declares: its last `<answer>`, box or "answer is", else its last line."""
    if found := _ANSWER_TAG.findall(text):
        return str(found[-1])
    tail = text[max(0, text.rfind("\\boxed{")) :]
    for pattern in (_BOX, _SAID):
        if match := pattern.search(tail.rstrip()):
            return match[1]
    return text.strip().rpartition("\n")[2]


def program_of(text: str) -> str:
    """The last fenced block of `text`; all of it where it has none."""
    return str((_FENCED.findall(text) or [text])[-1])


def _problem(case: Case, index: int, answers: Sequence[str], worst: str) -> Problem:
    others = [*answers[index + 1 :], *answers[:index], "1", "2", "3"]
    wrong = [answer for answer in dict.fromkeys(others) if answer != answers[index]]
    wrong.sort(key=lambda answer: answer.isalpha() != answers[index].isalpha())  # of its sort
    prompt = case.prompt if isinstance(case.prompt, str) else case.prompt[-1]["content"]
    honest, *rest = case.completions
    decoys = (wrong[0], wrong[1])
    return Problem(
        prompt, case.columns, case.args, honest, tuple(rest), answers[index], decoys, worst
    )


def _worst(cases: Sequence[Case]) -> str:
    """The text with the lowest expectation, of a case with a prompt where two are as low."""
    scored = [case for case in cases if None not in case.expect]
    return min(scored, key=lambda case: (_top(case), not case.prompt)).completions[-1]


def _top(case: Case) -> float:
    return max(map(_high, case.expect))


def _high(expected: Expectation) -> float:
    if expected is None:
        return float("-inf")
    return expected[1] if isinstance(expected, tuple) else expected
