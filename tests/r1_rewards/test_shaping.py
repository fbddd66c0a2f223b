"""The shaping rewards: open-r1's asserted values, and its defects absent."""

from __future__ import annotations

import math
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1_rewards import register_rewards
from r1_rewards.cosine import cosine
from r1_rewards.length import length
from r1_rewards.qa_exact import qa_exact
from r1_rewards.reasoning_steps import reasoning_steps
from r1_rewards.repetition_penalty import repetition_penalty
from r1_rewards.soft_overlong_punishment import soft_overlong_punishment
from r1cli import Completion, MissingExtra, UsageError

BOX, WRONG = r"\boxed{\frac{63}{400}}", r"\boxed{\frac{64}{400}}"
GOLD = r"\frac{63}{400}"


def test_every_registered_name_loads() -> None:
    names = []

    def register(name: str, target: str, *, help: str = "") -> None:
        module, _, attribute = target.partition(":")
        function = getattr(import_module(module), attribute)
        assert callable(function) and function.__doc__ and help
        assert "Range:" in function.__doc__ and "Columns:" in function.__doc__
        names.append(name)

    register_rewards(register)
    assert len(names) == len(set(names)) == 13


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("Step 1: a\nStep 2: b\nStep 3: c", 1),
        ("First, a. Second, b. Finally, c.", 1),
        ("Step 1: only", 1 / 3),
        ("First, a. Finally, b.", 2 / 3),
        ("just words", 0),
        ("first, a. second, b.", 0),
        ("1. a\n2. b\n3. c", 1),  # open-r1: 1/3
        ("so:\n1. a\n2. b\n3. c", 1),  # open-r1: 0
        ("- a\n- b\n- c", 1),  # open-r1: 2/3
        ("First, First, First, First,", 0),  # open-r1: 1
        ("Step 1: a\n" * 9, 1 / 3),  # open-r1: 1
        ("x = 3.5 - 2", 0),
    ],
)
def test_reasoning_steps(text: str, reward: float) -> None:
    assert reasoning_steps([text]) == [pytest.approx(reward)]


def test_length_prefers_short_right_answers() -> None:
    texts = [BOX, BOX + " " * 50, WRONG, WRONG + " " * 50]
    rewards = length(texts, ["p"] * 4, [GOLD] * 4, unit="characters")
    assert rewards == [0.5, -0.5, 0.0, -0.5]
    assert length([BOX, BOX], ["p"] * 2, [GOLD] * 2, unit="characters") == [0.0, 0.0]
    assert length([], [], []) == []  # open-r1 raises


def test_length_compares_within_a_prompt_and_in_tokens() -> None:
    texts = [Completion(BOX, tokens=n) for n in (10, 20, 1000, 2000)]
    prompts = ["p", "p", [{"role": "user", "content": "q"}], [{"role": "user", "content": "q"}]]
    assert length(texts, prompts, [GOLD] * 4) == [0.5, -0.5, 0.5, -0.5]
    assert length(texts[:2], ["p"] * 2, ["", GOLD]) == [None, 0.0]


@pytest.mark.parametrize(
    ("box", "size", "reward"),
    [(BOX, 22, 0.943), (BOX, 80, 0.547), (WRONG, 22, -0.942), (WRONG, 80, -0.547), (BOX, 50, 0.75),
     (BOX, 100, 0.5), (BOX, 150, 0.5), (BOX, 200, 0.5), (WRONG, 200, -0.5)],
)  # fmt: skip
def test_cosine(box: str, size: int, reward: float) -> None:
    text = box.ljust(size)
    assert cosine([text], [GOLD], max_len=100, unit="characters") == [
        pytest.approx(reward, abs=1e-3)
    ]
    assert cosine([Completion(box, tokens=size)], [GOLD], max_len=100) == [
        pytest.approx(reward, abs=1e-3)
    ]


def test_cosine_edges() -> None:
    assert cosine(["", "x"], ["6", "no math at all"]) == [-1.0, None]
    with pytest.raises(UsageError, match="max_len = 0"):
        cosine([""], ["6"], max_len=0)


REPEATED = [
    ("no word twice here", 2, -1.0, 0),
    ("this " * 5, 2, -1.0, -0.75),
    ("this is a this is a test", 2, -1.0, -1 / 3),
    ("this is a this is a test", 3, -2.0, -0.4),
    ("", 2, -1.0, 0),
    ("This is A this IS a test", 2, -1.0, -1 / 3),
    ("word", 3, -1.0, 0),
    ("word word", 3, -1.0, 0),
    ("word word word", 3, -1.0, 0),
    ("word " * 4, 3, -1.0, -0.5),
    ("one two one two", 3, -1.0, 0),
    ("A B C A B", 3, -0.5, 0),
    ("A B C A B C", 3, -1.0, -0.25),
    ("A B C A B C E F G A B C A B C", 3, -1.0, -0.3846),
    ("A B C D E F G H I J K L", 3, -1.0, 0),
]


@pytest.mark.parametrize(("text", "n", "penalty", "reward"), REPEATED)
def test_repetition_penalty(text: str, n: int, penalty: float, reward: float) -> None:
    assert repetition_penalty([text], n_grams=n, max_penalty=penalty) == [
        pytest.approx(reward, abs=1e-4)
    ]


def test_repetition_penalty_checks_its_arguments() -> None:
    with pytest.raises(UsageError, match=r"max_penalty = 1\.0"):
        repetition_penalty([], max_penalty=1.0)
    with pytest.raises(UsageError, match="n_grams = 0"):
        repetition_penalty([], n_grams=0)


def test_repetition_penalty_in_chinese() -> None:
    try:
        import jieba  # type: ignore[import-not-found] # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtra):
            repetition_penalty(["这个"], language="zh")
        pytest.skip("jieba is not installed")
    assert repetition_penalty(["这个" * 5], n_grams=2, language="zh") == [-0.75]


@pytest.mark.parametrize(
    ("tokens", "cache", "reward"),
    [(50, 20, 0), (80, 20, 0), (81, 20, -0.05), (90, 20, -0.5), (99, 20, -0.95), (100, 20, -1),
     (110, 20, -1), (100, 0, 0), (101, 0, -1)],
)  # fmt: skip
def test_soft_overlong_punishment(tokens: int, cache: int, reward: float) -> None:
    rewards = soft_overlong_punishment(
        [Completion("x", tokens=tokens)], max_completion_len=100, soft_punish_cache=cache
    )
    assert rewards == [pytest.approx(reward)]


def test_soft_overlong_punishment_checks_its_arguments() -> None:
    with pytest.raises(UsageError, match="soft_punish_cache = 20"):
        soft_overlong_punishment([], max_completion_len=10, soft_punish_cache=20)


@pytest.mark.parametrize(
    ("text", "gold", "reward"),
    [
        ("<think>x</think><answer>The Eiffel Tower.</answer>", "eiffel tower", 1),
        ("The answer is George Washington.", ["Washington", "George Washington"], 1),
        (r"\boxed{\text{Paris}}", "Paris", 1),
        ("Paris", "Paris", 1),
        ("Paris or Rome", "Paris", 0),
        ("<think>Paris", "Paris", 0),
        ("", "Paris", 0),
        ("x", "", None),
        ("x", [], None),
        ("42", 42, 1),
        ("0", 0, 1),
        ("7", [0, None, 7], 1),
    ],
)
def test_qa_exact(text: str, gold: str | list[str], reward: float | None) -> None:
    assert qa_exact([text], [gold]) == [reward]


@settings(deadline=None)  # the first answer that is not a number imports sympy
@given(st.text(max_size=200))
def test_any_text_is_scored(text: str) -> None:
    for reward in (reasoning_steps, repetition_penalty):
        [value] = reward([text])
        assert math.isfinite(value)
    assert qa_exact([text], ["x"])[0] in (0.0, 1.0)
    assert cosine([text], ["5"])[0] is not None
