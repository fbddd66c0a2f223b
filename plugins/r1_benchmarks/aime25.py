"""AIME 2025, both papers: 30 problems whose answers are integers of 0..999."""

from __future__ import annotations

from r1_benchmarks.boxed import PROMPT, sampling
from r1cli import Benchmark

aime25 = Benchmark(
    dataset="hub",
    args={"id": "yentinglin/aime_2025", "split": "train"},
    columns={
        "problem": ("problem", "Problem", "question"),
        "solution": ("answer", "Answer", "expected_answer"),
    },
    prompt=PROMPT,
    scorer="accuracy",
    sampling=sampling(n=64),  # as for aime24
    citation=(
        "problems: MAA, AIME I and II 2025; prompt and sampling: DeepSeek-R1, arXiv:2501.12948"
    ),
)
