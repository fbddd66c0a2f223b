"""MATH-500: 500 problems of MATH's test part, as split off by `Let's Verify Step by Step`."""

from __future__ import annotations

from r1_benchmarks.boxed import PROMPT, sampling
from r1cli import Benchmark

math_500 = Benchmark(
    dataset="hub",
    args={"id": "HuggingFaceH4/MATH-500", "split": "test"},
    columns={
        "problem": ("problem", "question"),
        # Some copies have only the worked solution; its last \boxed{} is the answer.
        "solution": ("answer", "expected_answer", "solution"),
    },
    prompt=PROMPT,
    scorer="accuracy",
    sampling=sampling(n=4),  # as open-r1 reports it
    citation=(
        "problems: Hendrycks et al., arXiv:2103.03874, and Lightman et al., arXiv:2305.20050; "
        "prompt and sampling: DeepSeek-R1, arXiv:2501.12948"
    ),
)
