"""HumanEval-X: canonical solutions pass in every language that is installed, changed ones fail."""

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from r1_code.languages import BY_NAME
from r1_code.local import local
from r1cli import CodeService, Limits, Program

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "code" / "humaneval_x"
SAMPLE = range(0, 160, 20)
LANGUAGES = ("cpp", "java", "js", "python", "rust")
FOREIGN = ("openssl/", "boost/", "rand::", "Regex::", "md5::", "js-md5")
"""What marks a solution that needs more than its language's own library."""

WRONG = ("JavaScript/112", "JavaScript/155")
"""Solutions that fail their own tests under any node: `console.assert` only says so."""

CHANGES = (
    *(("true", "false"), ("True", "False"), ("false", "true"), ("False", "True")),
    *(("<=", ">"), ("<", ">="), ("==", "!="), (" + ", " - "), ("+=", "-="), (" * ", " + ")),
    *(("0", "1"), ("1", "2"), ("push_back", "empty();//"), (".push(", ".indexOf(")),
)

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="shared/data is not on this machine")


@pytest.fixture(scope="module")
def code():
    with CodeService("local", local) as service:
        yield service


def problems(name):
    if why := BY_NAME[name].lacking():
        pytest.skip(why)
    with gzip.open(DATA / f"humaneval_{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert len(rows) == 164
    texts = (f"{row['prompt']}{row['canonical_solution']}{row['test']}" for row in rows)
    return [
        row
        for row, text in zip(rows, texts, strict=True)
        if row["task_id"] not in WRONG and not any(word in text for word in FOREIGN)
    ]


def program(name, row, solution):
    """A whole program that ends with another code than 0 where a test of the row fails."""
    if name == "cpp":
        source = f"#include <bits/stdc++.h>\n{row['prompt']}{solution}{row['test']}"
    elif name == "js":
        strict = "console.assert = require('node:assert');\n"
        source = f"{strict}{row['prompt']}{solution}{row['test']}"
    elif name == "rust":
        head = re.sub(r"use (rand::Rng|regex::Regex|md5);", "", row["declaration"])
        tests = row["test"].replace("#[cfg(test)]", "").replace("#[test]", "pub")
        calls = "".join(f"tests::{found}();" for found in re.findall(r"fn (\w+)\(\)", tests))
        source = f"{head}{solution}{tests}\nfn main() {{ {calls} }}"
    else:
        source = f"{row['prompt']}{solution}\n{row['test']}"
    return Program(name, source)


def changed(solution):
    """The solution with one thing in it turned round: the last, as first ones are often checks."""
    for old, new in CHANGES:
        head, found, tail = solution.rpartition(old)
        if found:
            return head + new + tail
    return ""


def check(code, name, rows):
    """All solutions pass. Returns the tasks whose changed solution passes too."""
    patient = Limits(cpu_seconds=60, compile_seconds=120)  # it is no matter how fast this is
    made = [program(name, row, row["canonical_solution"]) for row in rows]
    right = code.run([replace(one, limits=patient) for one in made])
    failed = {
        row["task_id"]: (result.status, [stage.stderr[-500:] for stage in stages(result)])
        for row, result in zip(rows, right, strict=True)
        if result.status != "ok"
    }
    assert failed == {}

    broken = [changed(row["canonical_solution"]) for row in rows]
    wrong = code.run([program(name, row, text) for row, text in zip(rows, broken, strict=True)])
    assert not any(result.broken for result in wrong)
    pairs = zip(rows, wrong, strict=True)
    return [row["task_id"] for row, result in pairs if result.status == "ok"]


def stages(result):
    return [*result.executions, *([result.compilation] if result.compilation else [])]


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_sample_passes_and_its_changed_versions_fail(name, code):
    rows = [row for row in problems(name) if int(row["task_id"].split("/")[1]) in SAMPLE]
    assert len(rows) >= 6
    assert check(code, name, rows) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", LANGUAGES)
def test_all_pass_and_nearly_all_changed_versions_fail(name, code):
    rows = problems(name)
    assert len(rows) >= 140
    assert len(check(code, name, rows)) <= len(rows) / 10, "not every change is to the worse"
