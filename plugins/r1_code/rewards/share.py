"""One completion's share of its tests, whatever their shape."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from r1_code.rewards.calls.judging import share_of_asserts
from r1_code.rewards.calls.known import share_of_calls
from r1_code.rewards.checker import checker
from r1_code.rewards.comparers import Comparer, comparer
from r1_code.rewards.extract import canonical, extract
from r1_code.rewards.runs import share_of_runs
from r1_code.rewards.tests_of import COLUMNS, Calls, Runs, read_tests
from r1cli import Limits, Program, UsageError

if TYPE_CHECKING:
    from r1cli import CodeService


@dataclass(frozen=True)
class How:
    """The arguments that `code` and `binary_code` share."""

    language: str
    comparer: Comparer
    tolerance: float
    seconds: float
    memory_mb: int
    max_tests: int | None
    all_or_nothing: bool

    def __post_init__(self) -> None:
        if self.max_tests is not None and self.max_tests < 1:
            raise UsageError(f"max_tests {self.max_tests} is not 1 or more")
        try:
            _ = self.limits
        except ValueError as error:
            raise UsageError(str(error)) from error

    @property
    def limits(self) -> Limits:
        return Limits(cpu_seconds=self.seconds, memory_mb=self.memory_mb)


async def shares(
    service: CodeService,
    completions: Sequence[str],
    how: How,
    **columns: Sequence[Any] | None,
) -> list[float | None]:
    """`share` of each completion, where its row is the columns that are there.

    Raises UsageError where none of them holds tests.
    """
    rows = _rows(len(completions), columns)
    pairs = zip(completions, rows, strict=True)
    return list(await asyncio.gather(*(share(service, text, row, how) for text, row in pairs)))


async def share(
    service: CodeService, completion: str, row: Mapping[str, Any], how: How
) -> float | None:
    """In [0, 1]; None where the row has no test that can be judged; 0 where there is no program.

    Raises ProviderError where infrastructure failed.
    """
    tests = read_tests(row)
    if tests is None:
        return None
    wanted = canonical(how.language)
    language = (tests.language or wanted) if isinstance(tests, Runs) else "python"
    block = extract(completion, language)
    if block is None or not block.code.strip():
        # Of a language that nobody has, no text would ever hold a program.
        await asyncio.to_thread(service.check, Program(language, ""))
        return 0.0
    limits = how.limits
    most, strict = how.max_tests, how.all_or_nothing
    preamble = str(row.get("preamble") or "")
    if isinstance(tests, Runs):
        before = f"{preamble}\n" if preamble and language == "python" else ""
        judge = checker(row.get("checker")) or comparer(how.comparer, how.tolerance)
        return await share_of_runs(
            service,
            before + block.code,
            language,
            tests,
            judge=judge,
            limits=limits,
            most=most,
            all_or_nothing=strict,
        )
    if isinstance(tests, Calls):
        return await share_of_calls(
            service,
            block.code,
            tests,
            preamble=preamble,
            limits=limits,
            most=most,
            all_or_nothing=strict,
        )
    return await share_of_asserts(
        service, block.code, tests, limits=limits, most=most, all_or_nothing=strict
    )


def _rows(count: int, columns: Mapping[str, Sequence[Any] | None]) -> list[dict[str, Any]]:
    present = {name: values for name, values in columns.items() if values is not None}
    if not any(name in present for name in COLUMNS):
        raise UsageError(
            f"no column with tests: one of {', '.join(COLUMNS)} is wanted; "
            "rename one with dataset.columns"
        )
    return [{name: values[i] for name, values in present.items()} for i in range(count)]
