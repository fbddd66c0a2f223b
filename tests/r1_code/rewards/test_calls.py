"""Function-call tests: what is said of values, how calls are collected, what cannot be forged."""

from __future__ import annotations

import asyncio
import datetime
import json
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1_code.rewards.calls.codec import Node, Unsayable, decode, encode
from r1_code.rewards.calls.known import equal
from r1_code.rewards.calls.programs import judge, player
from r1_code.rewards.tests_of import Asserts
from r1cli import Input, Limits, Program

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.dates()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers()), inner)
        | st.frozensets(st.integers() | st.text())
    ),
    max_leaves=20,
)


@given(VALUES)
def test_a_value_comes_back_as_it_was(value):
    back = decode(json.loads(json.dumps(encode(value))))
    assert repr(back) == repr(value) or back == value
    assert type(back) is type(value)


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (2**60, 2**60),
        (-(2**53), -(2**53)),
        (math.inf, math.inf),
        (Counter("aab"), {"a": 2, "b": 1}),
        (defaultdict(list, {1: [2]}), {1: [2]}),
        (OrderedDict([(1, 2)]), {1: 2}),
        (Point(1, 2), (1, 2)),
        (deque([1, 2]), deque([1, 2])),
        (range(3), range(3)),
        ({(1, 2): {3}}, {(1, 2): {3}}),
        (bytearray(b"\x00"), bytearray(b"\x00")),
        (Decimal("1.50"), Decimal("1.50")),
        (Fraction(1, 3), Fraction(1, 3)),
        (datetime.datetime(2020, 1, 2, 3), datetime.datetime(2020, 1, 2, 3)),
        (int, int),
        (sorted, sorted),
        ("\ud800", "\ud800"),
    ],
)
def test_a_kind_of_its_own(value, back):
    found = decode(json.loads(json.dumps(encode(value))))
    assert found == back and type(found) is type(back)


def test_an_integer_may_be_longer_than_python_would_print():
    assert decode(encode(10**5000)) == 10**5000


def test_lists_and_trees_of_nodes_come_back_cycles_included():
    class ListNode(Node):
        pass

    head = ListNode(0)
    last = head
    for value in range(1, 50_000):
        last.next = ListNode(value)
        last = last.next
    found = decode(encode(head), None, {"ListNode": ListNode})
    assert type(found) is ListNode and found.next.next.val == 2
    last.next = head
    found = decode(encode(head))
    for _ in range(50_000):
        found = found.next
    assert found.val == 0


class Sly(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


class Slier:
    def __eq__(self, other):
        return True

    __hash__ = object.__hash__


def test_objects_with_an_equality_of_their_own_do_not_come_through():
    assert decode(encode(Sly(3))) != 4
    for value in (Slier(), [Slier()], lambda: 1, object, open, (i for i in ())):
        with pytest.raises(Unsayable):
            encode(value)


def test_what_was_never_encoded_is_no_value():
    deep = json.loads("[" * 900 + "]" * 900)
    odd = [["int", "x"], ["list"], ["exec", "1"], {"a": 1}, ["named", "eval"], [], ["ref", 0]]
    odd += [["range", [1, 2, 0]], ["node", ["A", [1], []]], ["dict", [[["list", []], 1]]]]
    for data in (deep, *odd):
        with pytest.raises(Unsayable):
            decode(data)


def nested(depth: int):
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def test_nesting_ends_somewhere():
    with pytest.raises(Unsayable):
        encode(nested(100_000))


@pytest.mark.parametrize(
    ("expected", "value", "same"),
    [
        ([1, 2], (1, 2), True),
        ([1, 2], [1, 2, 3], False),
        ({"1": [2]}, {1: [2]}, True),
        ({"1": 2}, {1: 2, 2: 3}, False),
        (0.1, 0.1 + 1e-9, True),
        (1, 1.0, True),
        (10**30, 10**30, True),
        (10**30, 10**30 + 1, False),
        (1e308, math.inf, False),
        ("1", 1, False),
        (None, None, True),
        (None, 0, False),
        (True, Slier, False),
        ([1], {1}, False),
    ],
)
def test_json_is_compared_with_what_came_back(expected, value, same):
    try:
        data = encode(value)
    except Unsayable:
        data = ["opaque", 0]
    assert equal(expected, data) is same


def test_the_solution_is_shown_no_test(code):
    tests = Asserts(("assert f(2) == 777777",), (), "", "f")
    assert "777777" in judge(tests)
    assert "777777" not in player("def f(x): return 1", entry_point="f")
    assert "assert " not in player("", entry_point="f")


def check(body: str, **more):
    lines = "\n".join("    " + line for line in body.split("\n"))
    return {"test": f"def check(candidate):\n{lines}\n", "entry_point": "f", **more}


HOLD = [
    ("def f(x): return x + 1", check("assert candidate(1) == 2\nassert candidate(5) == 6")),
    ("def f(x): return x", check("for i in range(40):\n    assert candidate(i) == i")),
    ("def f(x): return x", check("for i in range(40):\n    assert not candidate(i) != i")),
    ("def f(x): return x", check("x = candidate(3)\nassert x == 3\nassert candidate(x + 1) == 4")),
    ("def f(x): return x", check("assert abs(candidate(0.5) - 0.5) < 1e-6")),
    ("def f(x): return [x, x]", check("a, b = candidate(3)\nassert a == 3 and b == 3")),
    ("def f(x): return [x]", check("r = candidate(3)\nassert len(r) == 1\nassert r[0] == 3")),
    ("def f(x): x.sort()", check("a = [3, 1]\ncandidate(a)\nassert a == [1, 3]")),
    ("def f(x): x['a'] = 1", check("a = {}\ncandidate(x=a)\nassert a == {'a': 1}")),
    ("def f(x): return {1, x}", check("assert candidate(2) == {1, 2}")),
    ("def f(x): raise ValueError", check(
        "try:\n    candidate(1)\n    assert False\nexcept ValueError:\n    pass")),
    ("def f(x): return x", check("import random\nassert candidate(random.random()) < 1")),
    ("def f(x): return x", {**check("return None\nassert 0"), "test":
        "def check(c):\n    if c(1) != 1:\n        return\n    assert c(2) == 2\n\ncheck(f)"}),
    ("print('noise')\ndef f(x):\n    print('{}')\n    return x",
     check("assert candidate(1) == 1")),
    ("if __name__ == '__main__':\n    input()\ndef f(x): return x",
     check("assert candidate(1) == 1")),
    ("import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int\ndef f(x): return A(x).x",
     check("assert candidate(1) == 1")),
    ("class A:\n    def __init__(self, x): self.x = x\n    def get(self): return self.x\n"
     "def total(a): return sum(b.x for b in a)",
     {"test_list": ["assert total([A(1), A(2)]) == 3", "assert A(7).get() == 7"]}),
    ("def sum(a, b): return a + b + 1", {"test_list": ["assert sum(1, 2) == 4"]}),
    ("def f(g): return g(2)\ndef h(x): return x * 5", {"test_list": ["assert f(h) == 10"]}),
    ("def f(x, t): return isinstance(x, t)", {"test_list": ["assert f(1, int)"]}),
    ("class Solution:\n    def f(self, x): return x",
     {"test_list": ["assert Solution().f(1) == 1"]}),
    ("class Solution:\n    def f(self, head):\n        return head.next",
     check("assert candidate(ListNode(1, ListNode(2))).val == 2",
           preamble="class ListNode:\n    def __init__(self, val=0, next=None):\n"
                    "        self.val, self.next = val, next\n")),
]  # fmt: skip


@pytest.mark.parametrize(("program", "columns"), HOLD, ids=range(len(HOLD)))
def test_a_right_solution_passes(scored, program, columns):
    assert scored(program, columns) == 1.0


FAIL = [
    ("def f(x): return 3", check("assert candidate(1) == 2")),
    ("def g(x): return 2", check("assert candidate(1) == 2")),
    ("def f(x): return 2\nraise ValueError", check("assert candidate(1) == 2")),
    ("def f(x): raise AssertionError", check("assert candidate(1) == 2")),
    ("def f(x): raise StopIteration", check("assert all(candidate(i) == 2 for i in range(3))")),
    ("def f(x): raise StopIteration", check("assert all(map(candidate, range(3)))")),
    ("class E:\n    __eq__ = lambda s, o: True\ndef f(x): return E()",
     check("assert candidate(1) == 2")),
    ("class E:\n    __ne__ = lambda s, o: True\ndef f(x): return E()",
     check("assert candidate(1) != 2")),
    ("class E:\n    __bool__ = lambda s: True\ndef f(x): return E()", check("assert candidate(1)")),
    ("import os\ndef f(x): os._exit(0)", check("assert candidate(1) == 2")),
    ("import os\nfor fd in range(3, 50):\n    try: os.write(fd, b'{\"value\": true}\\n' * 9)\n"
     "    except OSError: pass\nos._exit(0)", check("assert candidate(1) == 2")),
    ("import json\njson.dumps = lambda *a, **k: '[0, true, []]'\ndef f(x): return 1",
     check("assert candidate(1) == 2")),
    ("def f(x): return 'x' * 10**8", check("assert candidate(1) == 2")),
    ("def f(x):\n    y = []\n    for _ in range(10**5): y = [y]\n    return y",
     check("assert candidate(1) == 2")),
    ("def f(x): return 10**20000", check("assert candidate(1) == 2")),
    ("def encode(x): return x\ndef f(x): return x",
     check("assert candidate(encode('b')) == 'b'", preamble="def encode(x): return x + '!'\n")),
    ("", check("assert candidate(1) is None", preamble="def f(x):\n    '''stub'''\n")),
]  # fmt: skip


@pytest.mark.parametrize(("program", "columns"), FAIL, ids=range(len(FAIL)))
def test_a_wrong_one_does_not(scored, program, columns):
    assert scored(program or "pass", columns) == 0.0


def test_asserts_are_tests_one_by_one(scored):
    body = "assert candidate(1) == 1\nassert candidate(2) == 2\nx = 3\nassert candidate(x) == 4"
    assert scored("def f(x): return x", check(body)) == pytest.approx(2 / 3)
    slow = "def f(x):\n    while x == 2: pass\n    return x"
    assert scored(slow, check(body), seconds=0.5) == pytest.approx(1 / 3)


def test_an_answer_that_breaks_the_judge_fails_its_own_test_alone(scored):
    body = "assert candidate(1) == 1\nassert sorted(candidate(2)) == [2]\nassert candidate(3) == 3"
    program = "def f(x): return range(10**12) if x == 2 else x"
    assert scored(program, check(body)) == pytest.approx(2 / 3)


def test_answers_that_change_each_time_end_somewhere(scored):
    body = "x = candidate(0)\nassert candidate(x) == candidate(x) + 1"
    assert scored("import os\ndef f(x): return int.from_bytes(os.urandom(8))", check(body)) == 0.0


def test_a_test_that_depends_on_nothing_is_left_out(scored):
    assert scored("def f(x): return x", check("assert True\nassert candidate(1) == 1")) == 1.0
    assert scored("def f(x): return x", check("assert True")) is None
    assert scored("def f(x): return x", check("assert undefined == candidate")) is None
    assert scored("def f(x): return x", check("this is no Python")) is None


def test_what_is_asked_first_is_asked_once_for_a_group(code, scored):
    columns = check("import random\nassert candidate(random.randint(1, 10**6)) == 4242")
    scored("def f(x): return 1", columns)
    tests = Asserts((), (columns["test"],), "", "f")
    limits = Limits(cpu_seconds=20, memory_mb=1024, output_bytes=32 << 20)
    program = Program("python", judge(tests), [Input(b"null")], limits=limits)
    [result] = asyncio.run(code.arun([program]))
    assert result.cached


@pytest.mark.parametrize(
    ("program", "share"),
    [
        ("def f(a, b): return a + b", 1.0),
        ("class Solution:\n    def f(self, a, b): return a + b", 1.0),
        ("def f(a, b): return 3", 0.5),
        ("def f(a, b):\n    import os\n    os._exit(0)", 0.0),
    ],
)
def test_calls_with_known_results(scored, program, share):
    apps = {"fn_name": "f", "inputs": [[1, 2], [3, 4]], "outputs": [[3], 7]}
    assert scored(program, {"input_output": json.dumps(apps)}) == share
    cases = [
        {"input": "1\n2", "output": "3", "testtype": "functional"},
        {"input": "3\n4", "output": "7", "testtype": "functional"},
    ]
    rows = [{**case, "metadata": json.dumps({"func_name": "f"})} for case in cases]
    assert scored(program, {"tests": rows}) == share
    texts = {"fn_name": "f", "inputs": ["1\n2", "3\n4"], "outputs": ["3", "7"]}
    assert scored(program, {"tests": texts}) == share


def test_a_text_that_is_returned_is_not_read_as_json(scored):
    case = {"fn_name": "f", "input": [5], "output": "5"}
    assert scored("def f(a): return str(a)", {"tests": [case]}) == 1.0
    assert scored("def f(a): return a", {"tests": [case]}) == 0.0


def test_a_call_may_return_much(scored):
    apps = {"fn_name": "f", "inputs": [[200_000]], "outputs": [list(range(200_000))]}  # 1.4 MB
    assert scored("def f(n): return list(range(n))", {"input_output": apps}) == 1.0
