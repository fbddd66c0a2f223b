"""MBPP, the test part: 500 short Python functions, asked in a sentence with three asserts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from r1_benchmarks.boxed import sampling
from r1cli import Benchmark

TEST = range(11, 511)
"""The task ids of the test part, by the paper; the asserts of task 367 fail its own solution."""

PROMPT = """\
You are an expert Python programmer, and here is your task: {problem} Your code should pass these \
tests:

{asserts}

Give the whole program in one ```python block."""


def test_part(
    rows: Iterable[Mapping[str, Any]], *, whole: bool = False
) -> Iterator[dict[str, Any]]:
    """The rows of the test part, or of the `whole` set, with the asserts as one text."""
    for row in rows:
        if whole or row["task_id"] in TEST:
            yield {**row, "asserts": "\n".join(row["test_list"])}


mbpp = Benchmark(
    dataset="hub",
    args={"id": "google-research-datasets/mbpp", "config": "full", "split": "test"},
    prepare=test_part,
    columns={
        "problem": ("text", "prompt"),
        **{name: (name,) for name in ("asserts", "test_list", "test_setup_code")},
    },
    prompt=PROMPT,
    scorer="binary_code",
    scorer_args={"seconds": 20.0},  # one solution takes 3, and a busy machine must not decide
    sampling=sampling(n=4),
    votes=False,
    citation=(
        "problems and first sentence of the prompt: Austin et al., arXiv:2108.07732; "
        "sampling: DeepSeek-R1, arXiv:2501.12948"
    ),
)
