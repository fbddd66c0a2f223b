"""Does the program that the completion holds pass every test?"""

from __future__ import annotations

from typing import Any

from r1_code.rewards.comparers import Comparer
from r1_code.rewards.extract import program
from r1_code.rewards.share import How, shares
from r1cli import CodeService, Completion


async def binary_code(
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
    """1.0 where the program in the completion passes all of its tests, else 0.0.

    Columns: those of `code`, read as it reads them; a row without tests that can be judged gives
    None. The four smallest tests are run first, and the others only where all of those pass.

    Args:
        language, comparer, tolerance, seconds, memory_mb, max_tests: as for `code`.

    Range: {0.0, 1.0, None}. Source: open-r1's `binary_code_reward`, which accepts more than 99 %
    of the tests; DeepSeek-R1 (arXiv 2501.12948, section 2.2.2).

    Pays:
        right_last: the last block decides, so a text may correct itself; the right one never counts
            before a wrong one.
    """
    return await shares(
        code,
        completions,
        How(language, comparer, tolerance, seconds, memory_mb, max_tests, all_or_nothing=True),
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


binary_code.seconds = 600.0  # type: ignore[attr-defined]  # its programs have limits of their own
binary_code.answer = program  # type: ignore[attr-defined]
