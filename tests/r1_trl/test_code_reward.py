"""A reward that runs programs, inside of a GRPO run: opened early, counted, gone at the end."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.train


def test_grpo_with_a_code_reward(train_tiny, cold_start, tmp_path):
    from pyarrow import parquet

    tests = {"language": "python", "test_cases": [{"input": "1 2", "output": "3"}]}
    rows = [{"prompt": f"Add, {n}.", "verification_info": json.dumps(tests)} for n in range(8)]
    file = tmp_path / "problems.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    before, threads = zygotes(), set(threading.enumerate())
    run = train_tiny(
        "grpo",
        tmp_path / "run",
        f"model.name={cold_start.model}",
        "trainer.args.max_steps=2",
        f"dataset={{name: file, args: {{path: {file}}}}}",
        "rewards=[{name: code}, {name: format, args: {mode: soft}}]",
    )
    table = parquet.read_table(run.directory / "rollouts").to_pydict()
    assert set(table["reward/code"]) == {0.0}  # it writes sums, not programs
    assert set(table["outcome"]) == {"score"}
    assert json.loads(table["verification_info"][0]) == tests
    [first, *_] = [row for row in run.metrics() if "reward" in row]
    assert first["scoring/code/failed"] == 0
    left = {t.name for t in threading.enumerate() if t not in threads}
    assert "r1-code-local" not in left
    assert zygotes() == before


def zygotes() -> set[str]:
    """Processes of this one's sandboxes."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"zygote.main" in status.read_bytes():
                found.add(status.parent.name)
        except OSError:
            continue
    return found


def test_a_wrong_provider_is_said_before_a_model_is_loaded(train_tiny, tmp_path):
    from r1cli import UsageError

    with pytest.raises(UsageError, match=r"no code provider 'lokal' at code.*did you mean 'local'"):
        train_tiny("grpo", tmp_path / "run", "code={name: lokal}")
    with pytest.raises(UsageError, match=r"code provider 'local' has no argument 'worker'"):
        train_tiny(
            "grpo",
            tmp_path / "run",
            "code={name: local, args: {worker: 1}}",
            "rewards=[{name: code}]",
        )
    with pytest.raises(UsageError, match=r"reward 'code' has no argument 'code'"):
        train_tiny("grpo", tmp_path / "run", "rewards=[{name: code, args: {code: local}}]")
