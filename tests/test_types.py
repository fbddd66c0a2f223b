import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1cli.types import Completion, Sampling

pieces = st.lists(st.sampled_from(["<think>", "</think>", "a", "\n", "<answer>"]), max_size=8)
prefills = st.sampled_from(["", "<think>", "<think>\n", "<think>\n\n</think>\n\n"])


@pytest.mark.parametrize(
    ("text", "prefill", "reasoning", "answer"),
    [
        ("", "", "", ""),
        ("plain", "", "", "plain"),
        ("<think>r</think>a", "", "r", "a"),
        ("r</think>a", "<think>", "r", "a"),  # the template opened it
        ("r</think>a", "", "r", "a"),  # nobody did, but it was closed
        ("<think>r", "", "r", ""),
        ("r", "<think>", "r", ""),
        ("<think></think>a", "", "", "a"),
        ("before<think>r</think>a", "", "r", "a"),
        ("<think>r</think>m</think>a", "", "r", "a"),
        ("<think>r</think>m<think>s</think>a", "", "r", "a"),
        ("<think>r<think>s</think>a", "", "r<think>s", "a"),
        ("a", "<think>\n\n</think>\n\n", "\n\n", "\n\na"),  # Qwen3 told not to think
    ],
)
def test_reasoning_and_answer(text, prefill, reasoning, answer):
    completion = Completion(text, prefill=prefill)
    assert (completion.reasoning, completion.answer) == (reasoning, answer)


@given(pieces.map("".join), prefills)
def test_a_prefill_reads_as_if_it_had_been_sampled(text, prefill):
    given, sampled = Completion(text, prefill=prefill), Completion(prefill + text)
    assert given == sampled == prefill + text
    assert (given.reasoning, given.answer) == (sampled.reasoning, sampled.answer)


@given(pieces.map("".join), prefills)
def test_the_parts_are_parts_of_the_text(text, prefill):
    completion = Completion(text, prefill=prefill)
    assert completion.reasoning in completion
    assert completion.endswith(completion.answer)
    assert "</think>" not in completion.reasoning + completion.answer
    if "</think>" not in completion and "<think>" in completion:
        assert completion.answer == ""


@pytest.mark.parametrize(
    "again",
    [
        copy.copy,
        copy.deepcopy,
        *(lambda c, p=p: pickle.loads(pickle.dumps(c, p)) for p in range(2, 6)),
    ],
)
def test_copies_and_pickles_keep_everything(again):
    one = Completion("r</think>a", prefill="<think>", tokens=7, truncated=True)
    two = again(one)
    assert type(two) is Completion and two == one
    assert (two.prefill, two.tokens, two.truncated) == ("<think>", 7, True)


def test_it_is_text():
    one = Completion("b", prefill="a", tokens=1)
    assert isinstance(one, str) and type(str(one)) is str
    assert len(one) == 2 and {one: 1}["ab"] == 1 and "".join([one]) == "ab" and one + "c" == "abc"
    assert type(one.upper()) is str  # what is derived from it is no completion


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"temperature": -1}, "temperature -1"),
        ({"temperature": float("nan")}, "temperature nan"),
        ({"top_p": 0}, "top_p 0"),
        ({"top_p": 1.1}, "top_p 1.1"),
        ({"top_k": -1}, "top_k -1"),
        ({"max_tokens": 0}, "max_tokens 0"),
        ({"n": 0}, "n 0"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_a_sampling_that_cannot_be(setting, said):
    with pytest.raises(ValueError, match=said):
        Sampling(**setting)
