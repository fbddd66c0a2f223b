"""The problems of any file, each a row: `r1 eval file --data F --prompt T --scorer reward`."""

from __future__ import annotations

from r1cli import Benchmark, Sampling

file = Benchmark(
    dataset="file",
    args={},
    prompt="{problem}",
    scorer="accuracy",
    sampling=Sampling(temperature=0.6, top_p=0.95, max_tokens=32768),
    citation="problems: yours; sampling: DeepSeek-R1, arXiv:2501.12948",
)
