"""Held-out chained sums: by the hash of the expression they never occur in training."""

from r1cli import Benchmark, Sampling

chain_sums = Benchmark(
    dataset="chain_sums",
    args={"split": "test", "size": 300},
    columns={"prompt": ("prompt",), "solution": ("solution",)},
    prompt="{prompt}",
    scorer="accuracy",
    measures={"format": {"mode": "soft"}},
    sampling=Sampling(temperature=1.0, max_tokens=64, n=8),
    citation="procedural, r1_tiny",
)
