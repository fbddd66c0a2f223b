"""Reasoning Gym: procedural problems of one task, scored by that task's own verifier."""

from __future__ import annotations

from r1cli import Benchmark, Sampling, UsageError


def reasoning_gym(task: str) -> Benchmark:
    """The benchmark `reasoning_gym:<task>`: 100 held-out problems, three answers each."""
    if not task:
        raise UsageError("benchmark 'reasoning_gym' needs a task: reasoning_gym:chain_sum, say")
    return Benchmark(
        dataset="reasoning_gym",
        args={"tasks": [task], "split": "test", "size": 100},
        prompt="{prompt}",
        scorer="reasoning_gym",
        sampling=Sampling(temperature=0.6, top_p=0.95, max_tokens=32768, n=3),
        citation="problems and verifiers: Stojanovski et al., Reasoning Gym, arXiv:2505.24760",
    )
