"""What is decided without SymPy is decided as math-verify decides it."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from r1_rewards import closed_form, symbolic
from r1_rewards.tidy import tidy

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
TOLERANCE = 1e-6


def near_misses(text: str) -> list[str]:
    """Answers that differ from `text` by the slips that people make."""
    return [
        text[1:] if text.startswith("-") else "-" + text,
        re.sub(r"\d+", lambda m: str(int(m[0]) + 1), text, count=1),
        re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"\\frac{\2}{\1}", text, count=1),
        re.sub(r"\\sqrt\{([^{}]*)\}", r"\1", text, count=1),
        text.replace("+", "-", 1),
    ]


def disagreements(pairs) -> list[tuple[str, str, bool]]:
    found = []
    for gold, answer in pairs:
        verdict = closed_form.equal(gold, answer, TOLERANCE, True)
        if verdict is not None and verdict != symbolic.equal(gold, answer, TOLERANCE, True):
            found.append((gold, answer, verdict))
    return found


@pytest.mark.parametrize(
    ("gold", "answer", "verdict"),
    [
        (r"\frac{1}{2}", r"\frac12", True),
        (r"2\sqrt{2}", r"\sqrt{8}", True),
        (r"\frac{\pi}{3}", r"\frac{2\pi}{6}", True),
        (r"\frac{1}{2}", r"\frac{1}{3}", False),
        (r"\sqrt{2}", r"\sqrt{3}", False),
        (r"x^2+1", r"x^2+1", None),
        (r"(1,2)", r"(2,1)", None),
        ("(", "(" * 500, None),
        ("", r"\frac{1}{0}", None),
    ],
)
def test_what_is_decided_and_what_is_left_to_math_verify(gold, answer, verdict):
    assert closed_form.equal(gold, answer, TOLERANCE, True) is verdict


@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here")
def test_it_agrees_with_math_verify_on_labelled_pairs_and_near_misses():
    rows = [json.loads(line) for line in (DATA / "mathverify/answer_pairs.jsonl").open()]
    pairs = [(tidy(row["gold"]), tidy(row["answer"])) for row in rows]
    problems = [json.loads(line) for line in (DATA / "bench/math_500.jsonl").open()]
    golds = sorted({tidy(row["answer"]) for row in problems})
    for gold in (g for g in golds if closed_form.read(g) and not re.fullmatch(r"-?\d+", g)):
        pairs += [(gold, near) for near in near_misses(gold)]
        pairs.append((gold, random.Random(gold).choice(golds)))
    decided = [p for p in pairs if closed_form.equal(*p, TOLERANCE, True) is not None]
    assert len(decided) > 300, "or nothing is tested"
    assert disagreements(decided) == []
