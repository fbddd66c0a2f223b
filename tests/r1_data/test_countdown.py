import re
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import pytest

from r1_data.countdown import countdown, is_held_out
from r1cli import UsageError, problem_hash

EASY = {"numbers": 3, "highest": 20, "targets": (5, 50)}


def problems(**args):
    return {(*sorted(row["numbers"]), row["target"]) for row in countdown(**args)}


def reachable(numbers, target):
    """Whether any order and any operations on all the numbers give the target: brute force."""
    if len(numbers) == 1:
        return numbers[0] == target
    for i, a in enumerate(numbers):
        for j, b in enumerate(numbers):
            if i == j:
                continue
            rest = [n for k, n in enumerate(numbers) if k not in (i, j)]
            results = {a + b, a * b, a - b} | ({a / b} if b else set())
            if any(reachable([*rest, result], target) for result in results):
                return True
    return False


def evaluate(expression):
    assert re.fullmatch(r"[\d ()+*/-]+", expression)
    exact = re.sub(r"\d+", lambda match: f"Fraction({match[0]})", expression)
    return eval(exact, {"Fraction": Fraction})


def test_rows_state_the_problem_and_stay_in_range():
    for row in countdown(size=200, numbers=[2, 5], highest=30, targets=(7, 40)):
        assert set(row) == {"prompt", "numbers", "target"}
        assert len(row["numbers"]) in (2, 5)
        assert all(1 <= n <= 30 for n in row["numbers"])
        assert 7 <= row["target"] <= 40
        assert str(row["numbers"]) in row["prompt"] and str(row["target"]) in row["prompt"]
        assert all(tag in row["prompt"] for tag in ("<think>", "</think>", "<answer>", "</answer>"))


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_problem_can_be_solved(split):
    for row in countdown(split=split, size=60):
        assert reachable([Fraction(n) for n in row["numbers"]], row["target"]), row


def test_demonstrations_are_correct_in_every_line():
    tries = Counter()
    for row in countdown(size=300, numbers=[2, 3, 4, 6], demos=True):
        match = re.fullmatch(
            r"<think>\n(.+)\n</think>\n<answer>(.+)</answer>", row["completion"], re.DOTALL
        )
        work, answer = match.groups()
        assert evaluate(answer) == row["target"]
        assert Counter(map(int, re.findall(r"\d+", answer))) == Counter(row["numbers"])
        for left, right in re.findall(r"(\d+ [-+*/] \d+) = (\d+)", work):
            assert evaluate(left) == int(right)
        for value, target in re.findall(r"That is (\d+), not (\d+)\.", work):
            assert int(value) != int(target) == row["target"]
        assert work.endswith(f"That is {row['target']}.")
        tries[work.count("Try ")] += 1
    assert set(tries) == {1, 2, 3}  # a cold start should show wrong tries too, and few of them


def test_demonstrations_do_not_change_the_problems():
    with_demos = countdown(size=50, demos=True)
    assert [{k: v for k, v in row.items() if k != "completion"} for row in with_demos] == (
        countdown(size=50)
    )


def test_problems_are_distinct():
    assert len(problems(size=1000)) == 1000


def test_train_and_test_never_meet():
    train = set().union(*(problems(size=1500, seed=seed, **EASY) for seed in range(3)))
    test = set().union(*(problems(split="test", size=200, seed=seed, **EASY) for seed in range(3)))
    assert len(train) > 3000 and len(test) > 400
    assert not train & test
    assert {problem_hash(p) for p in train}.isdisjoint(problem_hash(p) for p in test)


def test_a_split_is_decided_by_the_problem_whatever_the_order():
    for row in countdown(split="test", size=30):
        assert is_held_out(row["numbers"], row["target"])
        assert is_held_out(row["numbers"][::-1], row["target"])
    held_out = sum(is_held_out([a, b], a + b) for a in range(1, 51) for b in range(1, 51))
    assert 0.06 < held_out / 2500 < 0.14


def test_the_splits_never_change():
    """Scores are comparable only as long as the same problems are held out."""
    assert [(row["numbers"], row["target"]) for row in countdown(split="test", size=3)] == [
        ([90, 15, 65], 40),
        ([31, 12, 79], 98),
        ([40, 20, 1, 2], 23),
    ]


def test_deterministic_in_this_and_in_another_process():
    args = "size=20, seed=3, demos=True"
    code = f"from r1_data.countdown import countdown; print(countdown({args}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(countdown(size=20, seed=3, demos=True))
    assert countdown(size=20, seed=3) != countdown(size=20, seed=4)


def test_a_smaller_size_is_the_beginning_of_a_larger_one():
    assert countdown(size=10, demos=True) == countdown(size=30, demos=True)[:10]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"split": "val"}, "no split 'val': use train or test"),
        ({"size": 0}, "size=0"),
        ({"numbers": 1}, r"numbers=\[1\]"),
        ({"numbers": [3, 9]}, r"numbers=\[3, 9\]: use counts of 2 to 8"),
        ({"numbers": []}, r"numbers=\[\]"),
        ({"difficulty": 7}, "no difficulty 7: use 0 to 6"),
        ({"difficulty": -1}, "no difficulty -1: use 0 to 6"),
        ({"highest": 0}, "highest=0"),
        ({"targets": (50, 10)}, r"targets=\[50, 10\]"),
        ({"targets": (0, 10)}, r"targets=\[0, 10\]"),
        ({"numbers": 2, "highest": 2, "size": 9}, "found 0 different train problems, not size=9"),
    ],
)
def test_settings_that_cannot_work_are_named(args, said):
    with pytest.raises(UsageError, match=said):
        countdown(**args)
