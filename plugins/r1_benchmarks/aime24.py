"""AIME 2024, both papers: 30 problems whose answers are integers of 0..999."""

from __future__ import annotations

from r1_benchmarks.boxed import PROMPT, sampling
from r1cli import Benchmark

aime24 = Benchmark(
    dataset="hub",
    args={"id": "HuggingFaceH4/aime_2024", "split": "train"},
    columns={
        "problem": ("problem", "Problem", "question"),
        "solution": ("answer", "Answer", "expected_answer"),
    },
    prompt=PROMPT,
    scorer="accuracy",
    sampling=sampling(n=64),  # 30 problems are few: DeepSeek-R1 and open-r1 average over 64
    citation=(
        "problems: MAA, AIME I and II 2024; prompt and sampling: DeepSeek-R1, arXiv:2501.12948"
    ),
)
