"""ROUGE-L against the library it builds on, by hand, and where that library says nothing."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1_rewards.rouge_l import MAX_WORDS, rouge_l
from r1cli import Completion, MissingExtra

pytest.importorskip("rouge_score")

ASCII = st.text(st.characters(min_codepoint=9, max_codepoint=126), max_size=60)


def one(text: str, gold: object, **args: object) -> float | None:
    return rouge_l([Completion(text)], [gold], **args)[0]  # type: ignore[list-item, arg-type]


def test_by_hand() -> None:
    # common subsequence: the cat on the mat, 5 of 6 and 5 of 7 words
    text, gold = "the cat sat on the mat", "the fat cat lay on the mat"
    assert one(text, gold, measure="precision") == pytest.approx(5 / 6)
    assert one(text, gold, measure="recall") == pytest.approx(5 / 7)
    assert one(text, gold) == pytest.approx(2 * 5 / 13)


@settings(max_examples=200, deadline=None)
@given(text=ASCII, gold=ASCII, stemmer=st.booleans())
def test_ascii_is_what_the_library_says(text: str, gold: str, stemmer: bool) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    said = RougeScorer(["rougeL"], use_stemmer=stemmer).score(gold, text)["rougeL"].fmeasure
    value = one(f"</think>{text}", gold, stemmer=stemmer)
    if value is None:
        assert not any(c.isalnum() for c in gold)
    elif "<answer>" not in text and "<think>" not in text:
        assert value == pytest.approx(said)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("red green", 1.0),
        ("<think>red green</think>blue", 0.0),
        ("<think>blue</think>red green", 1.0),
        ("<think>red green", 0.0),
        ("<think>a</think>red <answer>red green</answer> green", 1.0),
        ("<answer>red</answer><answer>blue</answer>", 0.0),
        ("", 0.0),
        ("...", 0.0),
    ],
)
def test_only_the_answer_section_counts(text: str, value: float) -> None:
    assert one(text, "red green") == value


@pytest.mark.parametrize("gold", ["", "  ", "?!", None, [], ["", "-"]])
def test_a_gold_without_words_is_not_applicable(gold: object) -> None:
    assert one("red", gold) is None


def test_a_gold_may_be_a_number() -> None:
    assert (one("0", 0), one("42", [42]), one("41", 42)) == (1.0, 1.0, 0.0)


def test_the_best_of_several_golds_counts() -> None:
    assert one("red", ["blue", "", "red"]) == 1.0


def test_a_stem_is_enough_when_asked_for() -> None:
    assert one("running dogs", "runs dog") == 0.0
    assert one("running dogs", "runs dogs", stemmer=True) == 1.0


@pytest.mark.parametrize("text", ["六是答案", "Ответ шесть", "ответ: ШЕСТЬ", "คำตอบ"])
def test_other_alphabets_have_words_too(text: str) -> None:
    assert one(text, text) == 1.0
    assert one("six", text) == 0.0


def test_words_past_the_limit_count_and_match_nothing() -> None:
    text = "red " * (4 * MAX_WORDS)
    assert one(text, "red", measure="precision") == pytest.approx(1 / (4 * MAX_WORDS))
    assert one(text, text, measure="recall") == pytest.approx(1 / 4)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "rouge_score", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'r1cli\[rewards\]'"):
        one("red", "red")
