"""LiveCodeBench, code generation: contest problems of AtCoder and LeetCode, newer than the model.

`lcb` is what DeepSeek-R1 and open-r1 report: releases v4 and v5 less what v3 had. A window of one's
own is cut by date out of a whole release: `--arg config=release_v6 --arg start=2025-01-01`.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from r1_benchmarks.boxed import sampling
from r1cli import Benchmark, UsageError

QUESTION = (
    "You will be given a question (problem specification) and will generate a correct Python "
    "program that matches the specification and passes all tests.\n\nQuestion: {question}\n\n"
)
STARTER = (
    "You will use the following starter code to write the solution to the problem and enclose your "
    "code within delimiters.\n```python\n{starter}\n```\n\n"
)
STDIN = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly "
    "test on the sample inputs). Enclose your code within delimiters as follows. Ensure that when "
    "the python program runs, it reads the inputs, runs the algorithm and writes output to STDOUT."
    "\n```python\n# YOUR CODE HERE\n```\n\n"
)
MODULES = (
    *("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random"),
    *("statistics", "itertools", "functools", "operator", "io", "sys", "json"),
)
IMPORTS = "\n".join(
    [
        *(f"from {name} import *" for name in (*MODULES, "builtins", "typing")),
        f"import {', '.join(MODULES)}",
        "sys.setrecursionlimit(50_000)\n",
    ]
)
"""What LiveCodeBench's grader runs before an answer: starter code names `List` without an import,
and a search that calls itself is deeper than Python's 1000."""


class _Texts(pickle.Unpickler):
    """Hidden tests are pickled text. Nothing else may come out of a downloaded file."""

    def find_class(self, module: str, name: str) -> Any:
        raise ValueError(f"a hidden test holds a {module}.{name}")


def hidden(text: str) -> list[dict[str, Any]]:
    """The private tests of a problem: JSON, or JSON pickled, compressed and encoded.

    Raises ValueError for what is neither.
    """
    try:
        return list(json.loads(text))
    except ValueError:
        pass
    try:
        inside = zlib.decompress(base64.b64decode(text))
        return list(json.loads(_Texts(io.BytesIO(inside)).load()))
    except ValueError:
        raise
    except Exception as error:  # a pickle may fail in any way
        raise ValueError(f"hidden tests that cannot be read: {error}") from error


def problems(
    rows: Iterable[Mapping[str, Any]], *, start: str = "", end: str = ""
) -> Iterator[dict[str, Any]]:
    """The problems of contests from the day `start` to the day `end`, both included and ISO dates.

    Raises UsageError for what is no such date: 2024-9-1 would come after October. `tests` holds all
    tests as JSON, each with `fn_name` where it is the call of a method.
    """
    first, last = _day(start), _day(end)
    for row in rows:
        day = str(row["contest_date"])[:10]
        if day < first or (last and day > last):
            continue
        starter = row.get("starter_code") or ""
        called = json.loads(row.get("metadata") or "{}").get("func_name")
        found = [*json.loads(row["public_test_cases"]), *hidden(row["private_test_cases"])]
        tests = [{"input": t["input"], "output": t["output"], "fn_name": called} for t in found]
        yield {
            "problem": QUESTION.format(question=row["question_content"])
            + (STARTER.format(starter=starter) if starter else STDIN),
            "tests": json.dumps(tests),
            "preamble": IMPORTS,
        }


def _day(text: str) -> str:
    try:
        return text and date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        raise UsageError(f"{text!r} is no day for 'lcb'; write it like 2024-09-01") from None


lcb = Benchmark(
    dataset="hub",
    args={"id": "lighteval/code_generation_lite", "config": "v4_v5", "split": "test"},
    prepare=problems,
    columns={name: (name,) for name in ("problem", "tests", "preamble")},
    prompt="{problem}",
    scorer="binary_code",
    scorer_args={"comparer": "decimals", "seconds": 6.0, "memory_mb": 4096},  # as LiveCodeBench
    sampling=sampling(n=16),  # as open-r1 reports it
    votes=False,
    citation=(
        "problems and prompt: Jain et al., LiveCodeBench, arXiv:2403.07974; "
        "sampling: DeepSeek-R1, arXiv:2501.12948"
    ),
)
