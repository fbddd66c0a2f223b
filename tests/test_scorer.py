"""Several rewards through one scorer: the same as calling them, only once, in order, counted."""

import asyncio
import functools
import json
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r1cli.errors import MissingExtra, PluginError, ProviderError
from r1cli.recipe import Scoring
from r1cli.scoring import BoundReward, Scorer
from r1cli.scoring.latency import Meter
from r1cli.scoring.reward import total
from r1cli.types import Completion, Outcome

QUICK = Scoring(seconds=2, workers=2, concurrency=4)


def here(name, function, **args):
    return BoundReward(name, function, args)


def scores(outcomes):
    return [outcome.value for outcome in outcomes]


REWARDS = """
def facts(completions, solution, *, plus=0.0):
    return [None if s is None else len(c) + c.tokens + len(c.prefill) + 2.0 * c.truncated + plus
            for c, s in zip(completions, solution, strict=True)]

def rank(completions, prompts):
    groups = {}
    for text, prompt in zip(completions, prompts, strict=True):
        groups.setdefault(repr(prompt), []).append(text)
    return [float(sorted(groups[repr(p)]).index(c)) for c, p in zip(completions, prompts)]

def seen(completions, **columns):
    return [float(len(p) + n) for p, n in zip(columns["prompts"], columns["level"])]
"""


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Rewards that a worker can import: of the text, of the group, of every column."""
    import importlib
    import sys

    folder = tmp_path_factory.mktemp("rewards")
    (folder / "three_rewards.py").write_text(REWARDS)
    sys.path.insert(0, str(folder))
    module = importlib.import_module("three_rewards")
    yield [
        BoundReward("facts", module.facts, {"plus": 0.5}),
        BoundReward("rank", module.rank, {}),
        BoundReward("seen", module.seen, {}),
    ]
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def opened(three):
    with Scorer(three, limits=QUICK) as scorer:
        yield scorer


SAMPLES = st.lists(
    st.tuples(
        st.text(max_size=6),
        st.sampled_from(["", "<think>"]),
        st.integers(0, 3),
        st.sampled_from(["p", [{"role": "user", "content": "q"}], [{"role": "user"}]]),
        st.sampled_from([None, "6"]),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(SAMPLES)
def test_a_scorer_says_what_the_rewards_say_when_called(three, opened, samples):
    completions = [
        Completion(text, prefill=prefill, tokens=tokens, truncated=tokens == 1)
        for text, prefill, tokens, _, _ in samples
    ]
    prompts = [sample[3] for sample in samples]
    columns = {"solution": [s[4] for s in samples], "level": [s[2] for s in samples]}
    expected = [reward.score(completions, prompts, columns) for reward in three]
    assert opened.score(completions, prompts, columns) == expected


def test_equal_completions_of_a_problem_are_judged_once():
    called = []

    def count(completions, solution):
        called.extend(completions)
        return [float(s) for s in solution]

    with Scorer([here("count", count)], limits=QUICK) as scorer:
        texts = [Completion(t) for t in ("a", "b", "a", "a")]
        for _ in range(2):
            [found] = scorer.score(texts, ["p"] * 4, {"solution": ["1", "1", "1", "2"]})
            assert scores(found) == [1, 1, 1, 2]
        assert called == ["a", "b", "a"]
        scorer.score([Completion("a", tokens=3)], ["p"], {"solution": ["1"]})
        assert len(called) == 4


def test_a_reward_that_reads_groups_sees_every_one_of_them_every_time():
    sizes = []

    def group(completions, prompts):
        sizes.append(len(completions))
        return [1.0] * len(completions)

    with Scorer([here("group", group)]) as scorer:
        for _ in range(2):
            scorer.score([Completion("a")] * 4, ["p"] * 4, {})
    assert sizes == [4, 4]


def test_a_reward_that_names_prompts_may_say_that_it_compares_nothing():
    def echoed(completions, prompts):
        return [float(c == p) for c, p in zip(completions, prompts, strict=True)]

    assert not here("echoed", echoed).per_sample
    echoed.per_sample = True
    assert here("echoed", echoed).per_sample


def test_what_no_worker_can_import_is_called_here_and_this_is_said_once(caplog):
    threads = set()

    def mine(completions):
        threads.add(threading.current_thread())
        return [1.0 for _ in completions]

    with Scorer([here("mine", mine)]) as scorer:
        for text in "ab":
            scorer.score([Completion(text)], ["p"], {})
    assert threads == {threading.current_thread()}
    assert caplog.text.count("reward 'mine' is called in this process") == 1


def test_a_provider_that_is_down_fails_its_samples_after_the_retries():
    tried = []

    def mine(completions):
        tried.append(len(completions))
        if "bad" in completions:
            raise ProviderError("down")
        return [1.0 for _ in completions]

    with Scorer([here("mine", mine)], limits=Scoring(retries=2)) as scorer:
        [found] = scorer.score([Completion(t) for t in ("a", "bad", "b")], ["p"] * 3, {})
    assert found == [
        Outcome("score", 1.0),
        Outcome("failed", reason="provider: down"),
        Outcome("score", 1.0),
    ]
    assert tried == [3, 1, 1, 1, 1]
    assert total([found], [1.0]) == [1.0, None, 1.0]


def test_a_missing_extra_is_no_failure_of_a_sample():
    def mine(completions):
        raise MissingExtra("no sympy")

    with Scorer([here("mine", mine)]) as scorer, pytest.raises(MissingExtra, match="^no sympy$"):
        scorer.score([Completion("a")], ["p"], {})


def test_the_sample_of_a_bug_is_saved(tmp_path):
    def mine(completions, solution, *, base=1):
        return [base / int(s) for s in solution]

    with (
        Scorer([here("mine", mine, base=2)], folder=tmp_path / "failures") as scorer,
        pytest.raises(PluginError, match="--replay ") as caught,
    ):
        texts = [Completion("one"), Completion("two", prefill="<think>", tokens=4, truncated=True)]
        columns = {"solution": ["1", "0"], "other": [1, 2]}
        scorer.score(texts, ["p", "q"], columns, step=7)
    assert "on sample 1 ('<think>two', columns {'solution': '0'})" in str(caught.value)
    saved = json.loads((tmp_path / "failures" / "mine-7.json").read_text())
    assert saved["completions"] == [
        {"text": "two", "prefill": "<think>", "tokens": 4, "truncated": True}
    ]
    assert (saved["reward"], saved["args"], saved["columns"]) == (
        "mine",
        {"base": 2},
        {"solution": ["0"]},
    )


# -- async -----------------------------------------------------------------------------------------


def asynchronous(log, seconds=0.05):
    async def judge(completions, **columns):
        assert len(completions) == 1
        log.append(1)
        most.append(len(log))
        if completions[0] == "slow":
            await asyncio.sleep(1000)
        if completions[0] == "down":
            raise ProviderError("no answer")
        if completions[0] == "raise":
            raise ValueError("mine")
        await asyncio.sleep(seconds)
        log.pop()
        return [float(len(completions[0]))]

    most = []
    return here("judge", judge), most


@pytest.mark.parametrize("inside", [False, True])
def test_async_rewards_share_a_loop_and_a_limit(inside):
    reward, most = asynchronous([])
    texts = [Completion("x" * n) for n in range(1, 13)]
    with Scorer([reward], limits=QUICK) as scorer:

        def score():
            return scores(scorer.score(texts, ["p"] * 12, {})[0])

        async def main():
            return score()

        assert (asyncio.run(main()) if inside else score()) == [float(n) for n in range(1, 13)]
    assert max(most) == 4


def test_an_async_call_is_timed_and_tried_again():
    reward, _ = asynchronous([], 0.01)
    limits = Scoring(seconds=1.0, retries=1)
    with Scorer([reward], limits=limits) as scorer:
        [found] = scorer.score([Completion(t) for t in ("ok", "slow", "down")], ["p"] * 3, {})
        assert found == [
            Outcome("score", 2.0),
            Outcome("failed", reason="timeout: no answer within 1 s"),
            Outcome("failed", reason="provider: no answer"),
        ]
        with pytest.raises(PluginError, match="'judge' raised ValueError: mine on sample 1 "):
            scorer.score([Completion("fine"), Completion("raise")], ["p"] * 2, {})


def test_an_async_object_and_a_partial_are_async_too():
    class Judge:
        async def __call__(self, completions):
            return [1.0] * len(completions)

    async def other(completions, *, add):
        return [add] * len(completions)

    rewards = [here("judge", Judge()), here("other", functools.partial(other, add=2.0))]
    assert all(reward.is_async for reward in rewards)
    with Scorer(rewards, limits=QUICK) as scorer:
        found = scorer.score([Completion("a")], ["p"], {})
    assert [scores(column) for column in found] == [[1.0], [2.0]]
    assert scores(rewards[0].score([Completion("a")], ["p"], {})) == [1.0]


def test_an_async_reward_that_blocks_is_told_so(monkeypatch):
    from r1cli.scoring import coroutines

    monkeypatch.setattr(coroutines, "SPARE_SECONDS", 0.1)

    async def judge(completions):
        time.sleep(1.0)
        return [1.0]

    limits = Scoring(seconds=0.1)
    with (
        Scorer([here("judge", judge)], limits=limits) as scorer,
        pytest.raises(PluginError, match="'judge' is `async def` but blocks its event loop"),
    ):
        scorer.score([Completion("a")], ["p"], {})


def test_an_async_call_may_wait_for_those_of_another_thread(monkeypatch):
    from r1cli.scoring import coroutines

    monkeypatch.setattr(coroutines, "SPARE_SECONDS", 0.3)
    begun, found = threading.Event(), []

    async def judge(completions):
        begun.set()
        await asyncio.sleep(0.1)
        return [1.0]

    with Scorer([here("judge", judge)], limits=Scoring(seconds=0.5, concurrency=1)) as scorer:

        def many():
            texts = [Completion("x" * n) for n in range(1, 13)]
            found.extend(scorer.score(texts, ["p"] * 12, {})[0])

        other = threading.Thread(target=many)
        other.start()
        begun.wait(10)
        found.extend(scorer.score([Completion("mine")], ["p"], {})[0])
        other.join()
    assert found == [Outcome("score", 1.0)] * 13


# -- parts of a mixture, counters ------------------------------------------------------------------


def test_rows_may_name_the_rewards_that_apply_to_them():
    one = here("one", lambda completions: [1.0] * len(completions))
    two = here("two", lambda completions, **columns: [float(len(columns))] * len(completions))
    with Scorer([one, two]) as scorer:
        texts = [Completion(t) for t in "abcd"]
        names = ["one", "one,two", None, "two"]
        first, second = scorer.score(texts, ["p"] * 4, {"reward_names": names, "level": [1] * 4})
    assert scores(first) == [1.0, 1.0, 1.0, None]
    assert scores(second) == [None, 2.0, 2.0, 2.0]  # the prompts and `level`
    assert first[3].status == "not_applicable"


def test_a_report_counts_what_happened():
    def mine(completions):
        if "down" in completions:
            raise ProviderError("down")
        return [None if text == "none" else 1.0 for text in completions]

    with Scorer([here("mine", mine)]) as scorer:
        texts = [Completion(t) for t in ("a", "none", "down", "a")]
        scorer.score(texts, ["p"] * 4, {})
        report = scorer.report(reset=True)["mine"]
        assert (report["samples"], report["failed"], report["not_applicable"]) == (4, 0.25, 0.25)
        assert 0 < report["seconds_p50"] <= report["seconds_p95"] <= report["seconds_max"]
        assert report["samples_per_second"] > 0 and report["known"] == 0.5
        assert scorer.report()["mine"]["samples"] == 0
    assert scorer.failures == 1 and scorer.last_failure == "reward 'mine', provider: down"


def test_quantiles_are_those_of_the_samples_to_a_quarter():
    meter = Meter()
    for milliseconds in range(1, 101):
        meter.timed(1, milliseconds / 1000)
    report = meter.report()
    assert 0.050 <= report["seconds_p50"] <= 0.050 * 1.25
    assert 0.095 <= report["seconds_p95"] <= 0.100
    assert report["seconds_max"] == 0.1
