import re

import pytest

from r1_tiny.chain_sums import chain_sums, is_held_out
from r1cli import UsageError

MIXTURE = {"full": 0.4, "half": 0.1, "none": 0.5}
COMPLETION = re.compile(r"<think>(.*)</think><answer>(\d+)</answer>")

HELD_OUT = "3+3-3 3+4-3 3+5-3 5+1-5 6+2-6 6+4-6 7+4-7 8+2-8 8+6-8 9+8-9"


def terms_of(prompt: str) -> list[int]:
    return [int(term) for term in re.findall(r"[+-]?\d", prompt.replace(" ", ""))]


def running_totals(terms: list[int]) -> list[int]:
    return [sum(terms[: i + 1]) for i in range(len(terms))]


def test_no_held_out_problem_is_ever_drawn_for_training():
    prompts = {
        split: {
            row["prompt"]
            for seed in range(5)
            for row in chain_sums(split=split, size=2000, terms=3, seed=seed)
        }
        for split in ("train", "test")
    }
    assert prompts["train"] and prompts["test"]
    assert not prompts["train"] & prompts["test"]


def test_membership_of_the_test_split_is_fixed_for_good():
    """A changed hash would quietly move test problems into the training data of older models."""
    expressions = [f"{a}+{b}-{a}" for a in range(1, 10) for b in range(1, 10)]
    held_out = [expression for expression in expressions if is_held_out(expression)]
    assert held_out == HELD_OUT.split()


@pytest.mark.parametrize(("terms", "highest"), [(2, 9), (7, 20), (12, 99)])
def test_every_problem_stays_in_range_and_its_solution_is_right(terms, highest):
    for row in chain_sums(size=300, terms=terms, highest=highest):
        numbers = terms_of(row["prompt"])
        assert len(numbers) == terms
        assert all(1 <= abs(number) <= 9 for number in numbers)
        assert all(0 <= total <= highest for total in running_totals(numbers))
        assert row["solution"] == str(sum(numbers))


@pytest.mark.parametrize(("kind", "steps"), [("full", 6), ("half", 3), ("none", 0)])
def test_every_step_of_every_demonstration_is_right(kind, steps):
    for row in chain_sums(size=300, terms=7, demos={kind: 1.0}):
        work, answer = COMPLETION.fullmatch(row["completion"]).groups()
        assert answer == row["solution"]
        numbers = terms_of(row["prompt"])
        shown = re.findall(r"([+-]\d)=(\d+)", work)
        assert [int(term) for term, _ in shown] == numbers[1 : steps + 1]
        assert [int(total) for _, total in shown] == running_totals(numbers)[1 : steps + 1]
        chain = "".join(f"{term}={total}" for term, total in shown)
        assert work == (f"{numbers[0]}{chain}" if steps else "")


def test_the_mixture_has_the_asked_for_shares():
    rows = chain_sums(size=4000, terms=7, demos=MIXTURE)
    steps = [row["completion"].count("=") for row in rows]
    for count, kind in ((6, "full"), (3, "half"), (0, "none")):
        assert steps.count(count) / len(rows) == pytest.approx(MIXTURE[kind], abs=0.03)


def test_the_seed_fixes_the_rows_and_what_is_reinforced_was_not_demonstrated():
    rows = chain_sums(size=50, seed=3, demos=MIXTURE)
    assert rows == chain_sums(size=50, seed=3, demos=MIXTURE)
    assert rows != chain_sums(size=50, seed=4, demos=MIXTURE)
    bare = {row["prompt"] for row in chain_sums(size=50, seed=3)}
    assert not bare & {row["prompt"] for row in rows}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, "no split 'dev': use train or test"),
        ({"size": 0}, "size=0 rows: use 1 or more"),
        ({"terms": 1}, "terms=1: use 2 to 20"),
        ({"highest": 5}, "highest=5: use 9 to 99"),
        ({"demos": {"some": 1.0}}, "demonstration 'some': use full, half, none"),
        ({"demos": {"full": 0.0}}, "use weights of 0 or more, not all of them 0"),
        ({"demos": {"full": 2.0, "none": -1.0}}, "use weights of 0 or more, not all of them 0"),
        ({"demos": {}}, "use weights of 0 or more, not all of them 0"),
    ],
)
def test_bad_arguments_are_named_with_what_would_work(arguments, message):
    with pytest.raises(UsageError) as error:
        chain_sums(**arguments)
    text = str(error.value)
    assert message in text
    assert text.startswith("chain_sums") and "\n" not in text
