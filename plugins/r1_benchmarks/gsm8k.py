"""GSM8K, the test part: 1319 word problems; a solution ends in `#### 18`."""

from __future__ import annotations

from r1_benchmarks.boxed import PROMPT, sampling
from r1cli import Benchmark

gsm8k = Benchmark(
    dataset="hub",
    args={"id": "openai/gsm8k", "config": "main", "split": "test"},
    columns={
        "problem": ("question", "problem"),
        "solution": ("answer", "expected_answer", "solution"),
    },
    prompt=PROMPT,
    scorer="accuracy",
    sampling=sampling(n=1),  # R1 does not report it; 1319 problems are many enough for one each
    citation=(
        "problems: Cobbe et al., arXiv:2110.14168; "
        "prompt and sampling: DeepSeek-R1, arXiv:2501.12948, which does not report it"
    ),
)
