"""code and binary_code: the shapes of tests, single tests that fail, what enters the sandbox."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from r1_code.rewards.binary_code import binary_code
from r1_code.rewards.code import code_reward
from r1_code.rewards.tests_of import Asserts, Calls, Runs, read_tests
from r1cli import (
    BoundReward,
    Capabilities,
    CodeService,
    Completion,
    Execution,
    ProgramResult,
    ProviderError,
    Scorer,
    UsageError,
)

ECHO = "print(input())"


def stdio(*cases, language="python"):
    tests = [{"input": i, "output": o, "type": "stdin_stdout"} for i, o in cases]
    return {"verification_info": {"language": language, "test_cases": tests}}


class Spy:
    """A provider that keeps what it is asked and answers `execution` to everything."""

    capabilities = Capabilities(("python", "cpp"), "none")

    def __init__(self, execution: Execution) -> None:
        self.execution, self.programs = execution, []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def run(self, program):
        self.programs.append(program)
        return ProgramResult([self.execution] * len(program.inputs))


def spied(execution: Execution) -> tuple[Spy, CodeService]:
    spy = Spy(execution)
    return spy, CodeService("spy", lambda: spy)


@pytest.fixture
def broken(monkeypatch):
    monkeypatch.setattr("r1cli.code.service.FIRST_WAIT_SECONDS", 0.001)
    return spied(Execution("sandbox_error", message="the fuse blew"))


@pytest.mark.parametrize(
    ("row", "kind", "count"),
    [
        (stdio(("1", "2")), Runs, 1),
        ({"verification_info": json.dumps(stdio(("1", "2"))["verification_info"])}, Runs, 1),
        (stdio(("1", "2"), ("3", None)), Runs, 1),
        ({"input_output": {"inputs": ["1", "2"], "outputs": ["1", "2"]}}, Runs, 2),
        ({"input_output": {"inputs": [["1", "2"]], "outputs": [["1", "2"]]}}, Runs, 1),
        ({"tests": json.dumps({"inputs": ["1"], "outputs": ["1"]})}, Runs, 1),
        ({"tests": [{"input": "1", "output": "1", "testtype": "stdin"}]}, Runs, 1),
        ({"tests": {"fn_name": "f", "inputs": [[1]], "outputs": [1]}}, Calls, 1),
        ({"test_list": ["assert f(1) == 1"]}, Asserts, 1),
        ({"test": "def check(c): assert c(1)", "entry_point": "f"}, Asserts, 1),
        ({"test_list": None, **stdio(("1", "2"))}, Runs, 1),
    ],
)
def test_a_shape_is_recognised(row, kind, count):
    tests = read_tests(row)
    assert isinstance(tests, kind)
    found = [*tests.statements, *tests.modules] if isinstance(tests, Asserts) else tests.tests
    assert len(found) == count


@pytest.mark.parametrize(
    "row",
    [
        {},
        stdio(),
        stdio(("1", None)),
        {"verification_info": None},
        {"verification_info": ""},
        {"verification_info": "{broken"},
        {"verification_info": []},
        {"verification_info": {"language": "python"}},
        {"verification_info": {"language": 3, "test_cases": [{"input": "", "output": ""}]}},
        {"verification_info": {"language": "python", "test_cases": ["x"]}},
        {"tests": {"inputs": ["1"], "outputs": []}},
        {"tests": {"fn_name": "f", "inputs": [3], "outputs": [1]}},
        {"tests": {"fn_name": "f", "inputs": [{"a": 3}], "outputs": [1]}},
        {"test_list": []},
        {"test_list": [None]},
        {"test": "", "entry_point": "f"},
        {"test": "def check(c): assert c(1)"},
        {"input_output": "[" * 100_000},
    ],
)
def test_what_cannot_be_read_is_not_applicable(row, scored):
    assert read_tests(row) is None
    if row:
        assert scored(ECHO, row) is None


def test_left_out_tests_are_counted():
    tests = read_tests(stdio(("1", "2"), ("3", None), ("4", None)))
    assert isinstance(tests, Runs) and tests.left_out == 2


@pytest.mark.parametrize(
    ("program", "some", "every"),
    [
        (ECHO, 1.0, 1.0),
        ("x = input()\nprint(x if x != 'b' else 'no')", 2 / 3, 0.0),
        ("x = input()\nif x == 'b': 1 / 0\nprint(x)", 2 / 3, 0.0),
        ("x = input()\nwhile x == 'b': pass\nprint(x)", 2 / 3, 0.0),
        ("x = input()\nprint(x * 10**8 if x == 'b' else x)", 2 / 3, 0.0),
        ("x = input()\nprint(x)\nif x == 'b': raise SystemExit(3)", 2 / 3, 0.0),
        ("import sys, os\nprint(input(), flush=True)\nos._exit(0)", 1.0, 1.0),
        ("raise SystemExit(0)", 0.0, 0.0),
        ("x = (", 0.0, 0.0),
    ],
)
def test_each_test_fails_alone(scored, program, some, every):
    columns = stdio(("a\n", "a\n"), ("b\n", "b\n"), ("c\n", "c\n"))
    assert scored(program, columns, seconds=0.5) == pytest.approx(some)
    assert scored(program, columns, seconds=0.5, reward=binary_code) == every


def test_a_preamble_stands_before_a_program_that_is_run(scored):
    columns = {**stdio(("9", "3.0")), "preamble": "from math import *\n"}
    assert scored("print(sqrt(int(input())))", columns) == 1.0
    assert scored("print(sqrt(int(input())))", stdio(("9", "3.0"))) == 0.0


def test_tests_are_run_smallest_first_and_no_more_than_can_matter():
    spy, service = spied(Execution("ok", b"no"))
    text = [f"```python\n{ECHO}\n```"]
    cases = [("x" * n, "yes") for n in (50, 10, 20, 60, 30, 40)]
    columns = {name: [value] for name, value in stdio(*cases).items()}
    assert asyncio.run(binary_code(text, **columns, code=service)) == [0.0]
    assert [[len(i.stdin) for i in p.inputs] for p in spy.programs] == [[10, 20, 30, 40]]
    assert asyncio.run(code_reward(text, **columns, code=service)) == [0.0]
    assert [len(i.stdin) for i in spy.programs[-1].inputs] == [50, 60]
    asyncio.run(code_reward(text, **columns, code=service, max_tests=2))
    assert [len(i.stdin) for i in spy.programs[-1].inputs] == [50, 60]


def test_a_program_that_is_always_too_slow_is_not_tried_on_everything():
    spy, service = spied(Execution("time_limit"))
    columns = stdio(*[(str(n), "yes") for n in range(100)])
    text = [f"```python\n{ECHO}\n```"]
    data = {name: [value] for name, value in columns.items()}
    assert asyncio.run(code_reward(text, **data, code=service)) == [0.0]
    assert sum(len(p.inputs) for p in spy.programs) == 4


def test_nothing_expected_enters_the_sandbox():
    for columns in (
        stdio(("1", "secret")),
        {"tests": {"fn_name": "f", "inputs": [[1]], "outputs": ["secret"]}},
    ):
        spy, service = spied(Execution("ok", b"secret"))
        data = {name: [value] for name, value in columns.items()}
        asyncio.run(code_reward([f"```python\n{ECHO}\n```"], **data, code=service))
        assert spy.programs
        assert "secret" not in repr(spy.programs)


@pytest.mark.parametrize("reward", [code_reward, binary_code])
@pytest.mark.parametrize(
    "columns",
    [
        stdio(("1", "1")),
        {"test_list": ["assert f(1) == 1"]},
        {"tests": {"fn_name": "f", "inputs": [[1]], "outputs": [1]}},
    ],
)
def test_a_broken_sandbox_is_no_score(reward, columns, broken, scored):
    with pytest.raises(ProviderError, match="code provider 'spy' failed: the fuse blew"):
        scored(ECHO, columns, reward=reward, service=broken[1])


def test_a_broken_sandbox_fails_the_sample_of_a_run(broken):
    bound = BoundReward("code", code_reward, {"code": broken[1]})
    columns = {name: [value] for name, value in stdio(("1", "1")).items()}
    with Scorer([bound]) as scorer:
        [[outcome]] = scorer.score([Completion(f"```python\n{ECHO}\n```")], ["p"], columns)
    assert outcome.status == "failed" and "the fuse blew" in outcome.reason


def test_a_column_with_tests_is_wanted(code):
    with pytest.raises(UsageError, match="no column with tests: one of verification_info, input"):
        asyncio.run(code_reward(["x"], code=code))
    assert asyncio.run(code_reward(["x"], test_list=[None], code=code)) == [None]


def test_an_unknown_language_is_said_in_one_line(scored):
    with pytest.raises(UsageError, match="has no language 'klingon'"):
        scored(ECHO, stdio(("1", "1"), language="klingon"), tag="klingon")
    runs = {"tests": {"inputs": ["1"], "outputs": ["1"]}}
    with pytest.raises(UsageError, match="has no language 'pyhton'; did you mean 'python'"):
        scored(ECHO, runs, language="pyhton")  # in which no text holds a program


@pytest.mark.parametrize(
    "args",
    [{"max_tests": 0}, {"seconds": 0.0}, {"seconds": float("inf")}, {"memory_mb": -1}],
)
def test_a_limit_is_more_than_nothing(scored, args):
    with pytest.raises(UsageError, match="is not"):
        scored(ECHO, stdio(("1", "1")), **args)


@pytest.mark.parametrize(
    "program", ["print('\ud800')", "print(1)\0", "\ufeffprint(2)", "# \x0c\x1b\u202e"]
)
@pytest.mark.parametrize("tests", [stdio(("1", "1")), {"test_list": ["assert f(1) == 1"]}])
def test_odd_characters_in_a_program_are_no_failure(scored, program, tests):
    assert scored(program, tests) == 0.0


CPP = "#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b; }"
ADDS = [("1 2", "3"), ("4 5", "9")]


def test_cpp(scored):
    assert scored(CPP, stdio(*ADDS, language="c++"), tag="cpp") == 1.0
    assert (
        scored(CPP, {"tests": {"inputs": ["1 2"], "outputs": ["3"]}}, tag="c++", language="cpp")
        == 1
    )
    assert scored(CPP.replace("a + b", "a - c"), stdio(*ADDS, language="cpp"), tag="cpp") == 0.0


CHECKER = """\
#include <fstream>
#include <iostream>
int main(int, char** argv) {
    std::ifstream in(argv[1]), out(argv[2]), answer(argv[3]);
    int n, a, b, best;
    in >> n; answer >> best;
    if (!(out >> a >> b)) return 2;
    if (a + b == 999) return 3;
    if (a + b == n + 1) { std::cerr << "points 0.5"; return 7; }
    return a + b == n && a > 0 && b > 0 ? 0 : 1;
}
"""


@pytest.mark.parametrize(
    ("printed", "share"), [("2 8", 1.0), ("5 5", 1.0), ("5 6", 0.5), ("5 7", 0.0), ("", 0.0)]
)
def test_a_checker_in_cpp(scored, printed, share):
    columns = {**stdio(("10", "1 9")), "checker": CHECKER}
    assert scored(f"print({printed!r})", columns) == share


def test_a_checker_that_fails_says_nothing_of_the_program(scored):
    columns = {**stdio(("10", "1 9")), "checker": CHECKER}
    with pytest.raises(ProviderError, match="checker of the dataset failed: .*exit code 3"):
        scored("print('900 99')", columns)
    with pytest.raises(ProviderError, match="does not compile"):
        scored(ECHO, {**columns, "checker": "#include <nothing>"})


def test_a_checker_with_files_of_its_own(scored):
    source = '#include "own.h"\nint main() { return WRONG; }'
    checker = {"source": source, "language": "c++", "files": {"own.h": "#define WRONG 1"}}
    assert scored(ECHO, {**stdio(("10", "10")), "checker": checker}) == 0.0


def test_a_long_output_is_judged_in_linear_time(scored):
    expected = " ".join(map(str, range(100_000)))
    started = time.perf_counter()
    assert scored("print(*range(100_000))", stdio(("", expected))) == 1.0
    assert scored("print(*range(99_999))", stdio(("", expected))) == 0.0
    assert time.perf_counter() - started < 10


def test_as_much_may_be_printed_as_is_expected(scored):
    expected = "\n".join(str(10**9 + i) for i in range(120_000))  # 1.3 MB
    assert scored("for i in range(120_000): print(10**9 + i)", stdio(("", expected))) == 1.0
    assert scored("for i in range(400_000): print(10**9 + i)", stdio(("", expected))) == 0.0


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("import sys; sys.stdout.buffer.write(bytes([255, 0, 254]))", "\ufffd"),
        ("import sys; sys.set_int_max_str_digits(0); print(10**50_000)", "1"),
        ("print('nan')", "1"),
        ("print(chr(0) * 100)", ""),
    ],
)
def test_odd_output_is_wrong_and_no_more(scored, program, expected):
    assert scored(program, stdio(("", expected))) == 0.0


def test_a_big_stdin_and_a_nul_byte(scored):
    big = "1 " * 2_000_000
    assert scored("import sys; print(len(sys.stdin.read()))", stdio((big, str(len(big))))) == 1.0
    assert scored("print(ord(input()))", stdio(("\0", "0"))) == 1.0
