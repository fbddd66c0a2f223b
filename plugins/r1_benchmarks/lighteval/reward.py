"""A completion as LightEval scores it."""

from __future__ import annotations

import asyncio
from typing import Any

from r1_benchmarks.lighteval import VERSION
from r1_benchmarks.lighteval.session import session
from r1cli import Completion, Prompt

KEPT = 65_536
_extracted: dict[tuple[str, str, str], list[str]] = {}  # what scoring found, for `answer`


async def lighteval(
    completions: list[Completion],
    prompts: list[Prompt],
    solution: list[str | None],
    doc: list[dict[str, Any] | None] | None = None,
    *,
    task: str,
    version: str = VERSION,
) -> list[float | None]:
    """What the metric of a LightEval task gives, by LightEval itself in its own environment.

    Columns: `solution`, the gold answer; `doc`, optional, LightEval's own form of the problem,
    which `r1 eval lighteval:<task>` has. Without it, the task makes its form of our prompt and gold
    answer; tasks of choices want the letter of the right one.

    Reasoning in `<think>` tags is taken out first, as LightEval does. The environment is made with
    uv where it is not there yet.

    Args:
        task: as LightEval calls it: aime24, math_500, gpqa:diamond.
        version: of LightEval.

    Range: [0, 1] or None. Source: LightEval (github.com/huggingface/lighteval), its own code.

    Pays:
        any: as LightEval does, which reads every number of an answer that announces none.
    """
    asked = session(version)

    def one(completion: str, prompt: Prompt, gold: str | None, form: Any) -> float | None:
        if gold is None:
            return None
        question = prompt if isinstance(prompt, str) else prompt[-1]["content"]
        problem = {"doc": form} if form else {"question": question, "gold": str(gold)}
        if len(_extracted) >= KEPT:
            _extracted.clear()
        _extracted[version, task, str(completion)] = []  # should it fail
        reply = asked.ask(score=task, text=str(completion), **problem)
        _extracted[version, task, str(completion)] = reply["extracted"]
        return float(reply["score"])

    rows = zip(completions, prompts, solution, doc or [None] * len(completions), strict=True)
    return [await asyncio.to_thread(one, *row) for row in rows]


def _answer(completion: str, *, task: str, version: str = VERSION) -> str | None:
    """What LightEval takes for the answer, the likeliest of several; None where it finds none."""
    key = version, task, str(completion)
    if key not in _extracted:
        asked = session(version)
        gold = "A" if task.startswith("gpqa") else "0"
        _extracted[key] = asked.ask(score=task, question="", gold=gold, text=key[2])["extracted"]
    return next(iter(_extracted[key]), None)


def _ready(*, task: str, version: str = VERSION) -> None:
    """Make the environment and look for the task, before anything is sampled for it."""
    session(version).ask(task=task)


lighteval.per_sample = True  # type: ignore[attr-defined]
lighteval.seconds = 900.0  # type: ignore[attr-defined]  # its environment may have to be made
lighteval.answer = _answer  # type: ignore[attr-defined]
lighteval.ready = _ready  # type: ignore[attr-defined]
