"""A dataset's own checker, run in a second sandbox on what the solution printed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from r1_code.rewards.extract import canonical
from r1_code.rewards.running import LATE, run
from r1_code.rewards.tests_of import Run
from r1cli import Execution, Input, Limits, Program, ProviderError

if TYPE_CHECKING:
    from r1cli import CodeService

NAMES = ("input.txt", "output.txt", "answer.txt")
LIMITS = Limits(cpu_seconds=10, memory_mb=512)
OK, POINTS = 0, 7
WRONG = (1, 2, 4, 8)  # wrong answer, presentation, dirt, unexpected end (testlib)
_POINTS = re.compile(rb"points\s+(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Checker:
    """A program called as `checker input output answer`, as testlib's are (quitf's exit codes).

    0 accepts, 1, 2, 4 and 8 refuse, 7 gives the share that stderr tells (`points 0.5`). Anything
    else is the checker's failure, 3 (`_fail`) included, and says nothing of the solution.
    """

    source: str
    language: str
    files: Mapping[str, bytes] = field(default_factory=dict)

    async def shares(
        self, service: CodeService, tests: Sequence[Run], ended: Sequence[Execution]
    ) -> list[float]:
        """What each test is worth, in [0, 1]. Raises ProviderError where the checker fails."""
        good = [e.status == "ok" and not e.truncated for e in ended]
        inputs = [
            Input(files=dict(zip(NAMES, (test.stdin, e.stdout, test.expected), strict=True)))
            for test, e, is_good in zip(tests, ended, good, strict=True)
            if is_good
        ]
        program = Program(self.language, self.source, inputs, self.files, NAMES, LIMITS)
        verdicts = list(await run(service, program)) if inputs else []
        if len(verdicts) < len(inputs):
            raise ProviderError("the checker of the dataset does not compile")
        said = iter(verdicts)
        late = [LATE if e.status == "time_limit" else 0.0 for e in ended]
        return [_share(next(said)) if ok else bad for ok, bad in zip(good, late, strict=True)]


def checker(value: Any) -> Checker | None:
    """A `checker` column: source, or `{source, language, files: {name: text}}`; None for neither.

    Source alone is C++ where it includes something, else Python.
    """
    if isinstance(value, str) and value.strip():
        return Checker(value, "cpp" if "#include" in value else "python")
    if not isinstance(value, Mapping) or not isinstance(value.get("source"), str):
        return None
    files = {name: str(text).encode() for name, text in (value.get("files") or {}).items() if text}
    return Checker(value["source"], canonical(str(value.get("language") or "cpp")), files)


def _share(execution: Execution) -> float:
    code = execution.exit_code
    if execution.status == "ok" and code in (OK, None):
        return 1.0
    if code == POINTS and (found := _POINTS.search(execution.stderr)):
        return min(1.0, float(found[1]))
    if execution.status == "runtime_error" and code in WRONG:
        return 0.0
    raise ProviderError(
        f"the checker of the dataset failed: {execution.status}, exit code {code}: "
        f"{execution.stderr[-200:].decode(errors='replace')}"
    )
