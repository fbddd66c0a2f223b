import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1cli.batch import solve
from r1cli.errors import UsageError

small, large = st.integers(1, 64), st.integers(1, 300)


@given(prompts=large, group=small, processes=small, micro=st.none() | large)
def test_a_plan_adds_up_and_a_refusal_names_what_would_work(prompts, group, processes, micro):
    given = {"group_size": group, "processes": processes, "micro_batch": micro}
    try:
        plan = solve(prompts, **given)
    except UsageError as error:
        if found := re.search(r"prompts_per_step (\d+) would work", str(error)):
            solve(int(found[1]), **given)
        else:
            for number in re.findall(r"\d+", str(error).rsplit(";", 1)[1]):
                solve(prompts, **given | {"micro_batch": int(number)})
        return
    assert plan.processes * plan.micro_batch * plan.accumulation == prompts * group
    assert (plan.prompts_per_step, plan.group_size, plan.processes) == (prompts, group, processes)
    assert plan.micro_batch == (micro or plan.micro_batch)
    assert micro or plan.micro_batch <= 8


@pytest.mark.parametrize(
    ("prompts", "group", "processes", "micro", "accumulation"),
    [(32, 8, 1, 8, 32), (32, 8, 8, 8, 4), (5, 1, 1, 5, 1), (7, 2, 1, 7, 2), (11, 1, 1, 1, 11)],
)
def test_the_largest_micro_batch_up_to_eight(prompts, group, processes, micro, accumulation):
    plan = solve(prompts, group_size=group, processes=processes)
    assert (plan.micro_batch, plan.accumulation) == (micro, accumulation)


def test_it_says_how():
    plan = solve(32, group_size=8, processes=4, micro_batch=16)
    assert str(plan) == (
        "32 prompts x 8 completions per step = 4 process(es) x micro-batch 16 x accumulation 4"
    )
    assert "completions" not in str(solve(32))


def test_what_cannot_be_shared_says_what_could():
    with pytest.raises(UsageError, match=r"batch \(f:3\): 5 prompts x 3 .* = 15 .*by 8 processes"):
        solve(5, group_size=3, processes=8, where="batch (f:3)")
    with pytest.raises(UsageError, match=r"micro_batch 5 does not divide the 16 .*; 2, 4, 8 would"):
        solve(4, group_size=4, micro_batch=5)


def test_large_numbers_are_quick():
    with pytest.raises(UsageError, match="would work"):
        solve(10**9, group_size=8, micro_batch=7)
