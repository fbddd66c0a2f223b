"""Benchmarks of the R1 line of work: what is asked, how it is sampled, which reward scores it."""

from r1cli import Register, hookimpl


@hookimpl
def register_benchmarks(register: Register) -> None:
    for name, help in (
        ("aime24", "AIME 2024: 30 competition problems, 64 answers each"),
        ("aime25", "AIME 2025: 30 competition problems, 64 answers each"),
        ("amc23", "AMC 12 of 2023: 40 competition problems, 16 answers each"),
        ("countdown", "1024 held-out Countdown problems, made here; needs no download"),
        ("file", "the problems of any file: --data F --prompt T --scorer reward"),
        ("gpqa", "GPQA diamond: 198 questions of science with four choices, 8 answers each"),
        ("gsm8k", "GSM8K test: 1319 grade-school word problems, 1 answer each"),
        ("humaneval", "HumanEval: 164 Python functions to complete, 16 answers each"),
        ("lcb", "LiveCodeBench, 2024-08 to 2025-01: 268 contest problems, 16 answers each"),
        ("lcb_v4", "LiveCodeBench, 2024-08 and 2024-09: 101 contest problems, 16 answers each"),
        ("math_500", "MATH-500: 500 competition problems of five levels, 4 answers each"),
        ("mbpp", "MBPP test: 500 short Python functions to write, 4 answers each"),
        ("olympiadbench", "OlympiadBench: 674 open-ended problems in English, 4 answers each"),
    ):
        register(name, f"r1_benchmarks.{name}:{name}", help=help)
    register(
        "reasoning_gym",
        "r1_benchmarks.reasoning_gym:reasoning_gym",
        help="100 problems of one Reasoning Gym task: reasoning_gym:chain_sum, say",
    )
    register(
        "lighteval",
        "r1_benchmarks.lighteval.task:lighteval",
        help="any task of LightEval, asked and scored by LightEval itself: lighteval:aime24, say",
    )


@hookimpl
def register_datasets(register: Register) -> None:
    register(
        "lighteval",
        "r1_benchmarks.lighteval.task:rows",
        help="the rows of a LightEval task's own data set",
    )


@hookimpl
def register_rewards(register: Register) -> None:
    register(
        "lighteval",
        "r1_benchmarks.lighteval.reward:lighteval",
        help="what LightEval's metric gives, by LightEval itself",
    )
