"""The reward of the R1 paper: is the final answer right?"""

from __future__ import annotations

import math
import numbers
from functools import lru_cache
from typing import Literal

from r1_rewards.equality import Gold, equal, read_gold, read_number
from r1_rewards.final_answer import Extract, final_answer
from r1_rewards.symbolic import TookTooLong
from r1_rewards.tidy import tidy
from r1cli import Completion, UsageError


def accuracy(
    completions: list[Completion],
    solution: list[str],
    *,
    float_tolerance: float = 1e-6,
    strict: bool = True,
    extract: Literal["declared", "any"] = "declared",
) -> list[float | None]:
    """1.0 where the declared final answer equals the gold one, else 0.0.

    Columns: `solution`, the gold answer: plain (`6`), LaTeX, or a worked solution that ends in
    `\\boxed{6}`, `#### 6` or "the answer is 6". A gold that cannot be read, a list of several too,
    gives None for every completion, never a score.

    Only the answer section is read: what follows `</think>`, and inside it the last `<answer>`. An
    unclosed `<think>` has no answer. The last declaration decides, and a list of candidates
    does not match a gold that is one value.

    Args:
        float_tolerance: absolute difference allowed where either side is a decimal; golds below
            0.1 are compared relatively, to ten times this.
        strict: variables keep their names and sets differ from tuples (math-verify's strict).
        extract: "declared" wants the answer boxed, announced, in a closing formula or alone; "any"
            also takes the last number of the section, as evaluations of base models do.

    Range: {0.0, 1.0, None}. Sources: DeepSeek-R1 (arXiv 2501.12948, section 2.2.2); open-r1's
    `accuracy_reward`; math-verify, which decides where the answer is more than a number.

    Pays:
        right_last: the last declaration decides, so a text may correct itself; the right answer
            never counts before a wrong one.
        percent: where the gold has no sign, 18 and 18 % are one answer, as for math-verify.
        another_base: where the gold names no base, a base is a remark like a unit.

    Limits: an answer over 1000 characters or with astronomic powers or factorials is not computed
    with: it counts only if written exactly like the gold. A comparison is given up (0.0) after
    5 seconds on the main thread; other threads have no clock here.
    """
    if not 0 <= float_tolerance < math.inf:
        raise UsageError(f"accuracy: float_tolerance = {float_tolerance:g} must be 0 or more")
    golds = [_gold(text) for text in solution]
    return [
        None if gold is None else _score(completion, gold, extract, float_tolerance, strict)
        for completion, gold in zip(completions, golds, strict=True)
    ]


def _score(
    completion: str, gold: Gold, extract: Extract, float_tolerance: float, strict: bool
) -> float:
    whole = completion if isinstance(completion, Completion) else Completion(completion)
    answer = final_answer(whole.answer, extract)
    try:
        return float(answer is not None and equal(gold, answer, float_tolerance, strict))
    except TookTooLong:
        return 0.0


def _gold(solution: object) -> Gold | None:
    """A list of one is its element; of several it is not said whether any will do, or all."""
    if isinstance(solution, list) and len(solution) == 1:
        [solution] = solution
    if not isinstance(solution, str | numbers.Number) or solution != solution:  # NaN
        return None
    try:
        return _read(str(solution))
    except TookTooLong:
        return None


@lru_cache(maxsize=16384)
def _read(solution: str) -> Gold | None:
    declared = final_answer(solution, "declared")
    return None if declared is None else read_gold(declared)


def _answer(completion: str, *, extract: Extract = "declared", **_: object) -> str | None:
    """What `accuracy` reads as the answer; numbers as fractions: equal ones are one text."""
    whole = completion if isinstance(completion, Completion) else Completion(completion)
    declared = final_answer(whole.answer, extract)
    if declared is None:
        return None
    text = tidy(declared)
    number = read_number(text)
    return text if number is None else f"{number.value}{'%' * number.percent}"


accuracy.answer = _answer  # type: ignore[attr-defined]
