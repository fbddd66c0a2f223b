"""Does the program that the completion holds pass the tests?"""

from __future__ import annotations

from typing import Any

from r1_code.rewards.comparers import Comparer
from r1_code.rewards.extract import program
from r1_code.rewards.share import How, shares
from r1cli import CodeService, Completion


async def code_reward(
    completions: list[Completion],
    verification_info: list[Any] | None = None,
    input_output: list[Any] | None = None,
    tests: list[Any] | None = None,
    test_list: list[Any] | None = None,
    test_setup_code: list[Any] | None = None,
    test_imports: list[Any] | None = None,
    test: list[Any] | None = None,
    entry_point: list[Any] | None = None,
    preamble: list[Any] | None = None,
    checker: list[Any] | None = None,
    *,
    code: CodeService,
    language: str = "python",
    comparer: Comparer = "tokens",
    tolerance: float = 1e-6,
    seconds: float = 5.0,
    memory_mb: int = 512,
    max_tests: int | None = None,
) -> list[float | None]:
    """The share of the tests that the program in the completion passes.

    Columns: one that holds tests, the first of these that a row has. `verification_info` (open-r1):
    `{language, test_cases: [{input, output}]}`. `input_output` or `tests` (APPS, TACO,
    CodeContests): `{inputs, outputs}` with `fn_name` where a function is called, or LiveCodeBench's
    list of cases. `test_list` (MBPP): asserts, with `test_setup_code` and `test_imports`. `test`
    (HumanEval, LeetCode): `check(candidate)`, with `entry_point`. Each may be JSON text. `preamble`
    is Python that stands before the solution and the tests; `checker` a program that judges output.

    The program is the last block fenced as code of the language, in the answer section; without
    one, a completion gets 0. It runs in a sandbox that holds its input and nothing else: what is
    expected is compared elsewhere. Each test passes or fails alone, an exit code, a signal or a
    limit being failures, too; an `assert` is one test. A row without tests that can be judged gives
    None. Where a sandbox breaks, ProviderError is raised: no failure is ever a score.

    Args:
        language: of the program, where the row does not say.
        comparer: how output is compared, see docs/code.md; a `checker` goes first.
        tolerance: of the comparer `floats`, absolute or relative.
        seconds: of CPU time, for one test. Where each of the four smallest tests takes longer, the
            others are not run and count as failed.
        memory_mb: for one test.
        max_tests: run so many of the tests, spread evenly; all by default.

    Range: [0, 1] or None. Source: open-r1's `code_reward`; DeepSeek-R1 (arXiv 2501.12948, 2.2.2).

    Pays:
        right_last: the last block decides, so a text may correct itself; the right one never counts
            before a wrong one.
    """
    return await shares(
        code,
        completions,
        How(language, comparer, tolerance, seconds, memory_mb, max_tests, all_or_nothing=False),
        verification_info=verification_info,
        input_output=input_output,
        tests=tests,
        test_list=test_list,
        test_setup_code=test_setup_code,
        test_imports=test_imports,
        test=test,
        entry_point=entry_point,
        preamble=preamble,
        checker=checker,
    )


code_reward.seconds = 600.0  # type: ignore[attr-defined]  # its programs have limits of their own
code_reward.answer = program  # type: ignore[attr-defined]
