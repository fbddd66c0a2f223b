"""Reasoning Gym's problems; of a stored row its verifiers say what they said before."""

import json

import pytest

pytest.importorskip("reasoning_gym", reason="pip install 'r1cli[gym]'")

from r1_data.reasoning_gym import packed, reasoning_gym, score, unpacked
from r1cli import Completion, UsageError

TASKS = ["chain_sum", "sudoku", "arc_agi", "countdown", "knights_knaves", "rearc"]


def answered(*answers):
    return [Completion(f"<think>hm</think><answer>{answer}</answer>") for answer in answers]


def test_problems_come_in_turn_and_their_own_answers_are_right():
    rows = reasoning_gym(tasks=TASKS, size=14)
    assert [row["task"] for row in rows] == (TASKS * 3)[:14]
    rows = [json.loads(json.dumps(row)) for row in rows]
    tasks, entries = [row["task"] for row in rows], [row["entry"] for row in rows]
    assert score(answered(*(row["answer"] for row in rows)), tasks, entries) == [1.0] * 14
    assert max(score(answered(*["no"] * 14), tasks, entries)) < 0.5


def test_no_test_problem_is_a_training_problem():
    train = {row["question"] for row in reasoning_gym(tasks=["chain_sum"], size=300)}
    test = reasoning_gym(tasks=["chain_sum"], size=60, split="test", seed=7)
    assert (len(train), len(test)) == (300, 60)
    assert not train & {row["question"] for row in test}


def test_the_arguments_fix_the_rows_and_seeds_differ():
    drawn = [reasoning_gym(tasks=["chain_sum"], size=20, seed=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] == reasoning_gym(tasks=["chain_sum"], size=50)[:20]
    assert len({row["question"] for row in drawn[0] + drawn[2]}) > 35


def test_difficulty_is_a_level_of_the_curriculum():
    easy, hard = (reasoning_gym(tasks=["chain_sum"], size=5, difficulty=level) for level in (0, 5))
    assert (
        max(len(row["question"]) for row in easy) < min(len(row["question"]) for row in hard) + 20
    )
    assert {unpacked(row["entry"])["metadata"]["num_terms"] for row in easy} == {2}


def test_an_entry_keeps_tuples_and_what_is_no_literal():
    entry = {"a": (1, (2, 3)), 4: None}
    assert unpacked(packed(entry)) == entry
    assert unpacked(packed({"a": range(2)})) == {"a": "range(0, 2)"}


def test_the_last_answer_counts_and_rows_of_another_kind_are_left():
    [row] = reasoning_gym(tasks=["chain_sum"], size=1)
    right = row["answer"]
    texts = answered(f"0</answer><answer>{right}", right, right)
    texts[1] = Completion(right)
    assert score(texts, ["chain_sum", "chain_sum", None], [row["entry"]] * 3) == [1.0, 0.0, None]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"tasks": []}, "needs tasks"),
        ({"tasks": ["chain_sm"]}, "did you mean 'chain_sum'"),
        ({"tasks": ["chain_sum"], "size": 0}, "size=0"),
        ({"tasks": ["chain_sum"], "config": {"x": 1}}, "unexpected keyword argument 'x'"),
        ({"tasks": ["chain_sum"], "config": {"min_terms": 0}}, "min_terms must be positive"),
        ({"tasks": ["chain_sum"], "difficulty": 0, "size": 9000}, "different train problems"),
    ],
)
def test_what_cannot_be_made(args, said):
    with pytest.raises(UsageError, match=said):
        reasoning_gym(**args)
