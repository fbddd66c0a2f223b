"""GPQA diamond: 198 questions that non-experts do not answer right even with the web at hand."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from r1_benchmarks.boxed import sampling
from r1cli import Benchmark

LETTERS = "ABCD"
CHOICES = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")

PROMPT = """\
Answer the following multiple choice question. The last line of your response should be of the \
following format: 'Answer: $LETTER' (without quotes) where LETTER is one of ABCD. Think step by \
step before answering.

{question}

A) {A}
B) {B}
C) {C}
D) {D}"""


def shuffled(
    rows: Iterable[Mapping[str, Any]], *, choices_seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Each row as a question, its choices `A` to `D` in an order of its own, and the right letter.

    The order depends on the seed and the question alone, so no other row moves it.
    """
    for row in rows:
        question = row["Question"].strip()
        order = list(CHOICES)
        random.Random(f"{choices_seed} {question}").shuffle(order)
        choices = {letter: row[name].strip() for letter, name in zip(LETTERS, order, strict=True)}
        yield {"question": question, **choices, "solution": LETTERS[order.index(CHOICES[0])]}


gpqa = Benchmark(
    dataset="hub",
    args={"id": "Idavidrein/gpqa", "config": "gpqa_diamond", "split": "train"},
    prepare=shuffled,
    prepare_args={"choices_seed": 0},
    columns={name: (name,) for name in ("question", *LETTERS, "solution")},
    prompt=PROMPT,
    scorer="accuracy",
    sampling=sampling(n=8),  # as open-r1 reports it
    citation=(
        "problems: Rein et al., arXiv:2311.12022; prompt: github.com/openai/simple-evals; "
        "sampling: DeepSeek-R1, arXiv:2501.12948"
    ),
)
