"""How fast a code provider is: programs that differ, in one go, and the wait for a single one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from r1cli.code.program import Input, Limits, Program, ProgramResult
from r1cli.code.service import CodeService
from r1cli.errors import ProviderError

SUMS = {
    "python": "a, b = map(int, input().split())\nprint(a + b)\n# {}\n",
    "cpp": "#include <cstdio>\nint main() {{ long a, b; "
    'if (scanf("%ld %ld", &a, &b) == 2) printf("%ld\\n", a + b); }}\n// {}\n',
    "javascript": "const [a, b] = require('fs').readFileSync(0, 'utf8').split(' ').map(Number);\n"
    "console.log(a + b); // {}\n",
}
"""The same program where a language is common: the sum of two numbers. `{}` makes it new."""

TESTS = (1, 20)
AT_ONCE = 16
SINGLES = 10


def measure(code: CodeService, languages: Sequence[str], *, seconds: float) -> list[dict[str, Any]]:
    """Rows of `language`, `tests` per program, programs and tests per second, p50 of one program.

    Sixteen different programs at a time until `seconds` are over, then ten one by one. Raises
    ProviderError where one does not print its sum.
    """
    rows = []
    for language in languages:
        for tests in TESTS:
            fresh = _Fresh(language, tests)
            _checked(code.run(fresh.programs(1)))  # compilers and interpreters are warm after it
            started, count = time.perf_counter(), 0
            while time.perf_counter() - started < seconds:
                count += len(_checked(code.run(fresh.programs(AT_ONCE))))
            each = (time.perf_counter() - started) / count
            waits = sorted(_wait(code, fresh) for _ in range(SINGLES))
            rows.append(
                {
                    "language": language,
                    "tests": tests,
                    "programs_per_second": 1 / each,
                    "tests_per_second": tests / each,
                    "p50_ms": 1000 * waits[len(waits) // 2],
                }
            )
    return rows


class _Fresh:
    """Programs that no cache has seen."""

    def __init__(self, language: str, tests: int) -> None:
        self.language, self.tests = language, tests
        self.mark = time.time_ns()

    def programs(self, count: int) -> list[Program]:
        inputs = [Input(b"%d 7\n" % number) for number in range(self.tests)]
        self.mark += count
        return [
            Program(
                self.language,
                SUMS[self.language].format(self.mark - i),
                inputs,
                limits=Limits(cpu_seconds=5),
            )
            for i in range(count)
        ]


def _wait(code: CodeService, fresh: _Fresh) -> float:
    started = time.perf_counter()
    _checked(code.run(fresh.programs(1)))
    return time.perf_counter() - started


def _checked(results: Sequence[ProgramResult]) -> Sequence[ProgramResult]:
    for result in results:
        for number, run in enumerate(result.executions):
            if run.stdout.split() != [b"%d" % (number + 7)]:
                said = run.message or run.stderr.decode(errors="replace")[-200:]
                raise ProviderError(f"a sum of two numbers ended as {run.status}: {said}")
        if not result.executions:
            assert result.compilation
            raise ProviderError(f"a sum of two numbers: {result.compilation.stderr[-200:]!r}")
    return results
