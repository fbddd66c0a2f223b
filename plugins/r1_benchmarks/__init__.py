"""Benchmarks of the R1 line of work: what is asked, how it is sampled, which reward scores it."""

from r1cli import Register, hookimpl


@hookimpl
def register_benchmarks(register: Register) -> None:
    for name, help in (
        ("aime24", "AIME 2024: 30 competition problems, 64 answers each"),
        ("aime25", "AIME 2025: 30 competition problems, 64 answers each"),
        ("countdown", "1024 held-out Countdown problems, made here; needs no download"),
        ("gsm8k", "GSM8K test: 1319 grade-school word problems, 1 answer each"),
        ("math_500", "MATH-500: 500 competition problems of five levels, 4 answers each"),
    ):
        register(name, f"r1_benchmarks.{name}:{name}", help=help)
