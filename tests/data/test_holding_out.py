"""What is held out of training: whole problems, wherever their rows lie."""

from __future__ import annotations

import pytest
from datasets import Dataset

from r1cli import UsageError
from r1cli.data.holding_out import hold_out


def rows(*prompts: str) -> Dataset:
    return Dataset.from_list([{"prompt": text, "n": n} for n, text in enumerate(prompts)])


def asked(part: Dataset) -> set[str]:
    return {" ".join(text.lower().split()) for text in part["prompt"]}


def test_rows_that_differ_are_split_as_datasets_splits_them():
    part = rows(*(f"What is {n}?" for n in range(50)))
    (train,), (test,) = hold_out([part], [0.2], 3, "test_split_size 0.2")
    wanted = part.train_test_split(test_size=0.2, seed=3)
    assert train.to_list() == wanted["train"].to_list()
    assert test.to_list() == wanted["test"].to_list()


def test_a_problem_is_held_out_with_all_its_rows():
    """Four solutions of each problem, as `r1 generate --n 4 --keep all` writes them."""
    part = rows(*(f"What is {n // 4}?" + " " * (n % 4) for n in range(80)))
    (train,), (test,) = hold_out([part], [5], 0, "test_split_size 5")
    assert (len(train), len(test), len(asked(test))) == (60, 20, 5)
    assert not asked(train) & asked(test)
    neighbours = zip(train["prompt"], train["prompt"][1:], strict=False)
    assert sum(one.strip() == other.strip() for one, other in neighbours) < 20  # shuffled again


def test_what_one_part_holds_out_the_others_do_not_train_on():
    left = rows(*(f"What is {n}?" for n in range(20)))
    right = rows(*(f"WHAT is  {n}?" for n in range(10, 30)))
    train, test = hold_out([left, right], [0.5, 0.5], 0, "test_split_size 0.5")
    unseen = asked(test[0]) | asked(test[1])
    assert [len(part) for part in test] == [10, 10]
    assert not unseen & (asked(train[0]) | asked(train[1]))
    assert len(unseen | asked(train[0]) | asked(train[1])) == 30  # no problem is lost


def test_rows_that_ask_nothing_are_problems_of_their_own():
    parts = [rows(*[""] * 6), Dataset.from_list([{"other": n} for n in range(6)])]
    train, test = hold_out(parts, [2, 2], 0, "test_split_size 4")
    assert [len(part) for part in (*train, *test)] == [4, 4, 2, 2]


def test_a_size_that_does_not_fit_the_problems_is_refused():
    with pytest.raises(UsageError, match="^test_split_size 2 does not fit 2 problems of 4 rows; "):
        hold_out([rows("a", "a", "b", "b")], [2], 0, "test_split_size 2")
