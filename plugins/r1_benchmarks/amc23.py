"""AMC 12 of 2023, A and B: the 40 problems whose answer can be written as a number."""

from __future__ import annotations

from r1_benchmarks.boxed import PROMPT, sampling
from r1cli import Benchmark

amc23 = Benchmark(
    dataset="hub",
    args={"id": "math-ai/amc23", "split": "test"},
    columns={"problem": ("problem", "question"), "solution": ("answer", "expected_answer")},
    prompt=PROMPT,
    scorer="accuracy",
    sampling=sampling(n=16),  # 640 answers in all; R1 does not report it
    citation=(
        "problems: MAA, AMC 12 2023; "
        "prompt and sampling: DeepSeek-R1, arXiv:2501.12948, which does not report it"
    ),
)
