"""HumanEval: 164 Python functions to complete from signature and docstring, tested by asserts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from r1_benchmarks.boxed import sampling
from r1cli import Benchmark

PROMPT = """\
Complete this Python function. Give the whole function, with its imports, in one ```python block.

```python
{problem}
```"""


def with_preamble(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each row with what stands before its function: imports, and functions that it calls.

    An answer may leave them out, as the original, which pastes the answer to the prompt, allows.
    """
    for row in rows:
        before = row["prompt"].partition(f"def {row['entry_point']}(")[0]
        yield {**row, "preamble": before}


humaneval = Benchmark(
    dataset="hub",
    args={"id": "openai/openai_humaneval", "split": "test"},
    prepare=with_preamble,
    columns={
        "problem": ("prompt",),
        **{name: (name,) for name in ("test", "entry_point", "preamble")},
    },
    prompt=PROMPT,
    scorer="binary_code",
    scorer_args={"seconds": 20.0},  # as for mbpp
    sampling=sampling(n=16),
    votes=False,
    citation=(
        "problems: Chen et al., arXiv:2107.03374; sampling: DeepSeek-R1, arXiv:2501.12948; "
        "prompt: r1"
    ),
)
