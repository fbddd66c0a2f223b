"""countdown: a safe reader of equations, checked against reasoning-gym's scored answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1_rewards.countdown import countdown

SCORED = Path(__file__).parents[3] / "shared/data/countdown/countdown_scored.jsonl"

# answer, score with format_score 0.1; numbers 3, 5, 2, target 16
TABLE = [
    ("(3+5)*2", 1.0),
    ("2*(5+3) = 16", 1.0),
    (r"\boxed{(3 + 5) \times 2}", 1.0),
    (r"$\frac{(3+5)*2}{1}$", 0.1),
    ("(3 + 5) × 2", 1.0),  # noqa: RUF001
    ("- -(3+5)*2", 1.0),
    ("(3+5)*2 = 17", 0.1),
    ("(3+5)*2 = 1/0", 0.1),
    ("3+5+2", 0.1),
    ("(3+5)*2+0", 0.1),
    ("8*2", 0.1),
    ("16", 0.1),
    ("(3+5)*2/(3-3)", 0.1),
    ("(3+5)*2 = 16 = 16", 0.0),
    ("(3+5*2", 0.0),
    ("(3+5)2", 0.0),
    ("3**5", 0.0),
    ("3//5", 0.0),
    ("(3+5)*2 # no", 0.0),
    ("__import__('os').system('true')", 0.0),
    ("0x10", 0.0),
    ("3.0+5*2", 0.0),
    ("", 0.0),
    ("(" * 150, 0.0),
    ("-" * 150 + "1", 0.0),
    ("1+" * 5000 + "1", 0.0),
    ("٣+5*2", 0.0),
]


@pytest.mark.parametrize(("answer", "score"), TABLE)
def test_table(answer: str, score: float) -> None:
    text = f"<think>(3+5)*2</think><answer>{answer}</answer>"
    assert countdown([text], [[3, 5, 2]], [16], format_score=0.1) == [score]
    assert countdown([text], [[3, 5, 2]], [16]) == [float(score == 1.0)]


def test_values_are_exact_fractions() -> None:
    assert countdown(["8/(3-8/3)"], [[3, 3, 8, 8]], [24]) == [1.0]


@pytest.mark.parametrize(("target", "score"), [("24", 1.0), (24.0, 1.0), ("25", 0.0), ("?", None)])
def test_a_target_may_be_text(target, score: float | None) -> None:
    assert countdown(["4*6"], [["4", "6"]], [target]) == [score]


def test_repeated_numbers_count() -> None:
    assert countdown(["3+3", "3*2"], [[3, 3]] * 2, [6] * 2) == [1.0, 0.0]


def test_only_the_answer_section_is_read() -> None:
    texts = ["<think>3+5", "<think>3+5</think>", "<think>3+5</think><answer>5-3</answer>"]
    assert countdown(texts, [[3, 5]] * 3, [8] * 3) == [0.0] * 3


@given(st.text(alphabet="0123456789+-*/()= ", max_size=60))
def test_any_text_is_scored(text: str) -> None:
    assert countdown([f"<answer>{text}</answer>"], [[1, 2]], [3])[0] in (0.0, 1.0)


@pytest.mark.skipif(not SCORED.exists(), reason="shared/data/countdown is not on this machine")
def test_agrees_with_reasoning_gym() -> None:
    rows = [json.loads(line) for line in SCORED.read_text().splitlines()]
    answers = [f"<answer>{row['model_answer'] or ''}</answer>" for row in rows]
    numbers, targets = [row["numbers"] for row in rows], [row["target"] for row in rows]
    scores = countdown(answers, numbers, targets)
    assert [score == 1.0 for score in scores] == [row["strict_check"] for row in rows]
    expected = [row["expected_answer"] for row in rows]
    assert countdown(expected, numbers, targets) == [1.0] * len(rows)
