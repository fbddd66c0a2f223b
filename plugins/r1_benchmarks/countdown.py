"""Countdown: the test split of the dataset `countdown`, or a file with numbers and targets."""

from __future__ import annotations

from r1cli import Benchmark, Sampling

countdown = Benchmark(
    dataset="countdown",
    args={"split": "test", "size": 1024},  # a 95 % interval of at most 3.1 points to either side
    columns={"numbers": ("numbers", "nums"), "target": ("target",)},
    # Not the rows' own prompt: a file need not have one. A test keeps it equal to the dataset's.
    prompt=(
        "Combine the numbers {numbers} with +, -, * and / so that the result is {target}. Use "
        "each number exactly once; parentheses are allowed. Think inside <think> </think> tags, "
        "then give the expression alone inside <answer> </answer> tags, for example "
        "<answer>(1 + 2) / 3</answer>."
    ),
    scorer="countdown",
    sampling=Sampling(temperature=0.6, top_p=0.95, max_tokens=1024),
    citation="task: TinyZero, github.com/Jiayi-Pan/TinyZero; problems and prompt: r1",
)
