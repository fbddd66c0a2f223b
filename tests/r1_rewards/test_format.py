"""format and tag_count: open-r1's asserted values in strict mode, without its loopholes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1_rewards.format import format as format_reward
from r1_rewards.tag_count import tag_count
from r1cli import Completion, UsageError

OK = "<think>\na\n</think>\n<answer>\nb\n</answer>"

# text, strict, soft, tag_count strict, tag_count soft; open_r1.md 1.2, 1.3
TABLE = [
    (OK, 1, 1, 1.0, 1.0),
    ("<think>\na\n\n- b\n</think>\n<answer>\nc\nd\n</answer>\n\n", 1, 1, 1.0, 1.0),
    (OK + "\njunk", 0, 0, 1.0, 1.0),  # open-r1 gives 1
    (OK + " junk", 0, 0, 1.0, 1.0),
    (OK + OK, 0, 0, 0.0, 0.0),  # open-r1 gives 1
    (OK + "\n" + OK, 0, 0, 0.0, 0.0),  # open-r1 gives 1
    ("text " + OK, 0, 0, 1.0, 1.0),
    ("\n" + OK, 0, 1, 1.0, 1.0),
    ("<think>a</think><answer>b</answer>", 0, 1, 0.0, 1.0),
    ("<think>\n</think>\n<answer>\n</answer>", 0, 1, 1.0, 1.0),
    ("<think>\n\n</think>\n<answer>\n\n</answer>", 1, 1, 1.0, 1.0),
    ("<think></think><answer></answer>", 0, 1, 0.0, 1.0),
    ("a\n</think>\n<answer>\nb\n</answer>", 0, 0, 0.75, 0.75),
    ("<think>\na\n</think>\n\n<answer>\nb\n</answer>", 0, 1, 1.0, 1.0),
    ("<think>\n<think>\na\n</think>\n<answer>\nb\n</answer>", 0, 0, 0.75, 0.75),  # open-r1 gives 1
    ("<answer>\nb\n</answer>\n<think>\na\n</think>", 0, 0, None, 1.0),
    ("<think>\na\n<answer>\n</think>\nb\n</answer>", 0, 0, 1.0, 1.0),  # crossed
    ("<think>a</think> and <answer>b</answer>", 0, 0, 0.0, 1.0),
    ("<think>only", 0, 0, 0.0, 0.25),
    ("<answer>only</answer>", 0, 0, 0.0, 0.5),
    ("<THINK>\na\n</THINK>\n<answer>\nb\n</answer>", 0, 0, None, 0.5),
    ("", 0, 0, 0.0, 0.0),
]


@pytest.mark.parametrize(("text", "strict", "soft", "count_strict", "count_soft"), TABLE)
def test_table(
    text: str, strict: float, soft: float, count_strict: float | None, count_soft: float
) -> None:
    assert format_reward([text], mode="strict") == [strict]
    assert format_reward([text]) == [soft]
    assert tag_count([text]) == [count_soft]
    if count_strict is not None:
        assert tag_count([text], mode="strict") == [count_strict]


@pytest.mark.parametrize("tag", ["<think>", "</think>", "<answer>", "</answer>"])
def test_each_missing_tag_costs_a_quarter(tag: str) -> None:
    assert tag_count([OK.replace(tag, "x")], mode="strict") == [0.75]


def test_a_prefilled_think_counts() -> None:
    completion = Completion("\na\n</think>\n<answer>\nb\n</answer>", prefill="<think>")
    assert format_reward([completion], mode="strict") == [1.0]
    assert tag_count([completion], mode="strict") == [1.0]


def test_think_wants_an_answer_after_it() -> None:
    texts = ["<think>a</think>b", "<think></think>b", "<think>a</think> ", "<think>a", "a</think>b"]
    assert format_reward(texts, schema="think") == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert format_reward(["<think>a</think>b</think>"], schema="think") == [0.0]
    strict = ["<think>\na\n</think>\nb", "<think>\na\n</think>b"]
    assert format_reward(strict, schema="think", mode="strict") == [1.0, 0.0]
    assert tag_count(["<think>a"], schema="think") == [0.5]


def test_your_own_tags() -> None:
    tags = ["plan", "a+b.*", "SOLUTION"]
    good = "<plan>x</plan><a+b.*>y</a+b.*><SOLUTION>z</SOLUTION>"
    assert format_reward([good, good.replace("plan", "plane")], schema=tags) == [1.0, 0.0]
    assert tag_count([good, good + "<plan>"], schema=tags) == [1.0, 5 / 6]
    assert format_reward([OK], schema=["think", "answer"], mode="strict") == [1.0]


@pytest.mark.parametrize("tags", [[], ["a", "a"], ["a b"], ["<a>"], ["/a"], [""]])
def test_tags_that_cannot_be(tags: list[str]) -> None:
    with pytest.raises(UsageError, match="schema"):
        format_reward([OK], schema=tags)


PIECES = st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "\n", "x", " "])


@given(st.one_of(st.text(), st.lists(PIECES, max_size=12).map("".join)))
def test_strict_implies_soft_and_all_tags(text: str) -> None:
    strict, soft = format_reward([text], mode="strict"), format_reward([text])
    assert strict <= soft
    if soft == [1.0]:
        assert tag_count([text]) == [1.0]
    if strict == [1.0]:
        assert tag_count([text], mode="strict") == [1.0]
