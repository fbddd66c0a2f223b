"""OlympiadBench, the part OE_TO_maths_en_COMP: open-ended, text only, mathematics in English."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from r1_benchmarks.boxed import PROMPT, sampling
from r1cli import Benchmark


def with_solution(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each row with its final answers, of which some are several, as one gold answer.

    A copy may have one text in place of the list.
    """
    for row in rows:
        given = row["final_answer"]
        answers = [given] if isinstance(given, str) else given
        yield {**row, "solution": ", ".join(answers).replace("$", "")}


olympiadbench = Benchmark(
    dataset="hub",
    args={"id": "Hothan/OlympiadBench", "config": "OE_TO_maths_en_COMP", "split": "train"},
    prepare=with_solution,
    columns={"problem": ("question",), "solution": ("solution",)},
    prompt=PROMPT,
    scorer="accuracy",
    sampling=sampling(n=4),
    citation=(
        "problems: He et al., arXiv:2402.14008; "
        "prompt and sampling: DeepSeek-R1, arXiv:2501.12948, which does not report it"
    ),
)
