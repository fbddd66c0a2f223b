"""Paired comparison: textbook values, simulated truth, and the command."""

import json
import random
from statistics import fmean

import pytest

from r1cli.errors import UsageError
from r1cli.evaluation import paired as module
from r1cli.evaluation.compare import compare
from r1cli.evaluation.paired import bootstrap, mcnemar, paired


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(module, "RESAMPLES", 400)


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [(0, 0, 1.0), (5, 5, 1.0), (0, 6, 0.03125), (1, 9, 0.021484375), (10, 2, 0.03857421875)],
)
def test_mcnemar_is_the_exact_sign_test(gained, lost, p):
    assert mcnemar(gained, lost) == pytest.approx(p)
    assert mcnemar(lost, gained) == pytest.approx(p)


def test_the_bootstrap_is_the_normal_interval_where_there_are_many():
    rng = random.Random(0)
    changes = [rng.gauss(0.1, 1.0) for _ in range(1000)]
    low, high = bootstrap(changes)
    mean = fmean(changes)
    assert (low, high) == pytest.approx((mean - 0.062, mean + 0.062), abs=0.008)
    assert bootstrap(changes) == (low, high)


def test_pairing_sees_what_two_intervals_hide():
    a = [[1.0]] * 60 + [[0.0]] * 40
    b = [[1.0]] * 68 + [[0.0]] * 32  # the same problems, and eight more
    found = paired(a, b)
    assert found.test == "McNemar, exact"
    assert found.difference == pytest.approx(0.08) and found.settled
    assert found.p == pytest.approx(2 / 2**8)
    assert found.settling is None


def test_19_of_20_intervals_hold_the_true_difference():
    rng, held = random.Random(1), []
    for trial in range(100):
        hard = [rng.random() * 0.8 for _ in range(80)]
        a = [[float(rng.random() < p) for _ in range(4)] for p in hard]
        b = [[float(rng.random() < p + 0.1) for _ in range(4)] for p in hard]
        found = paired(a, b, seed=trial)
        held.append(found.low <= 0.1 <= found.high)
    assert 0.88 <= fmean(held) <= 0.99


def test_what_would_settle_it_is_what_does():
    """Of differences of the size that it says, about 4 of 5 come out, with the samples it says."""
    rng = random.Random(2)

    def drawn(n, more):
        return [[float(rng.random() < p + more) for _ in range(n)] for p in hard]

    hard = [rng.random() * 0.9 for _ in range(100)]
    seen = paired([[p, p] for p in hard], [[p + 0.04, p + 0.04] for p in hard])
    assert seen.settling is None and seen.detectable < 1e-9  # no noise, all is shown
    advice = next(
        found.settling
        for _ in range(50)
        if (found := paired(drawn(4, 0.0), drawn(4, 0.04))).settling
        and "samples per problem" in found.settling
        and 0.03 < found.difference < 0.05
    )
    n = int(advice.split()[0])
    assert 4 < n < 100
    shown = [paired(drawn(n, 0.0), drawn(n, 0.04), seed=s).p < 0.05 for s in range(60)]
    assert fmean(shown) >= 0.6


def test_one_sample_cannot_tell_how_many_are_needed():
    a, b = [[1.0], [0.0]] * 20, [[1.0], [0.0]] * 19 + [[1.0], [1.0]]
    found = paired(a, b)
    assert not found.settled
    assert found.settling.endswith("problems, or more than one sample of these")


@pytest.fixture
def result(tmp_path):
    """A folder as `r1 eval` leaves it: `result("a", [[1.0], [0.0]])`."""

    def write(name, scores, *, spec=None, benchmark="sums"):
        folder = tmp_path / name / "eval"
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            {
                "problem": p,
                "sample": s,
                "hash": f"h{p}",
                "prompt": [{"role": "user", "content": f"Say {p}."}],
                "completion": f"{name} says {p}",
                "truncated": False,
                "score": score,
                "gold": str(p),
                "answer": str(p) if score else "none",
            }
            for p, samples in enumerate(scores)
            for s, score in enumerate(samples)
        ]
        path = folder / f"{benchmark}-0-{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        about = {"benchmark": benchmark, "spec": spec or {"hash": "0", "prompt": "Say."}}
        path.with_suffix(".json").write_text(json.dumps(about))
        return tmp_path / name

    return write


def test_flips_come_with_both_answers(result):
    a = result("a", [[1.0], [0.0], [1.0], [0.0]])
    b = result("b", [[1.0], [1.0], [0.0], [0.0]])
    (a / "metrics.jsonl").write_text('{"step": 1}\n')  # as in a run
    [found] = compare([a, b / "eval"])
    told = [flip.to_dict() for flip in found.flips]
    assert [(t["problem"], t["change"], t["gold"]) for t in told] == [
        (1, "gained", "1"),
        (2, "lost", "2"),
    ]
    assert told[0]["a"] == {
        "score": 0.0,
        "answer": "none",
        "completion": "a says 1",
        "truncated": False,
    }
    assert (told[0]["b"]["completion"], told[0]["question"]) == ("b says 1", "Say 1.")
    assert (found.paired.difference, found.paired.problems) == (0.0, 4)


def test_problems_are_paired_by_what_they_are_not_by_their_order(result, tmp_path):
    a = result("a", [[1.0], [0.0], [1.0]])
    b = result("b", [[1.0], [0.0], [1.0]])
    [path] = (b / "eval").glob("*.jsonl")
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    [found] = compare([a, b])
    assert (found.paired.difference, found.flips) == (0.0, [])


def test_what_is_not_judged_under_both_is_left_out(result):
    a = result("a", [[1.0], [None], [1.0], [0.0]])
    b = result("b", [[1.0], [1.0], [1.0]])
    [found] = compare([a, b])
    assert found.paired.problems == 2


def test_what_is_not_whole_is_said(result, caplog):
    spec = {"hash": "0", "problems": {"count": 3}}
    whole = result("a", [[1.0, 1.0], [0.0, 1.0], [None, None]], spec=spec)
    cut = result("b", [[1.0, 1.0], [1.0, 1.0]], spec=spec)
    grown = result("c", [[1.0, 1.0], [0.0], [None]], spec=spec)
    compare([whole, whole])
    assert caplog.messages == []
    compare([whole, cut, grown])
    first, second = caplog.messages
    assert "b.jsonl: samples of 2 of 3 problems; the quick answers" in first
    assert "c.jsonl: 1 to 2 samples per problem" in second


def test_different_specs_do_not_compare(result):
    a = result("a", [[1.0], [0.0]], spec={"prompt": "Say.", "sampling": {"seed": 0, "top_p": 1.0}})
    seeds = result(
        "b", [[1.0], [0.0]], spec={"prompt": "Say.", "sampling": {"seed": 9, "top_p": 1.0}}
    )
    assert len(compare([a, seeds])) == 1
    c = result("c", [[1.0], [0.0]], spec={"prompt": "Say!", "sampling": {"seed": 0, "top_p": 0.9}})
    with pytest.raises(
        UsageError, match=r"specs of 'sums'.*prompt: 'Say.' -> 'Say!', sampling.top_p: 1.0 -> 0.9"
    ):
        compare([a, c])


def test_what_cannot_be_compared_is_said(result, tmp_path, r1):
    a, b = result("a", [[1.0], [0.0]]), result("b", [[1.0], [0.0]], benchmark="other")
    with pytest.raises(UsageError, match="share no benchmark: sums and other"):
        compare([a, b])
    one = result("one", [[1.0]])
    with pytest.raises(UsageError, match="share 1 judged problems"):
        compare([a, one])
    with pytest.raises(UsageError, match="holds no samples"):
        compare([a, tmp_path / "nowhere"])
    answer = r1("compare", a)
    assert (answer.exit_code, "two places" in answer.stderr) == (2, True)


def test_the_command(result, r1):
    a = result("a", [[1.0], [0.0]] * 20)
    b = result("b", [[1.0], [0.0]] * 19 + [[1.0], [1.0]])
    c = result("c", [[1.0], [1.0]] * 20)
    shown = r1("compare", a, b, c)
    assert shown.exit_code == 0
    assert "2.5 [0.0, 7.5]" in shown.stdout and "McNemar, exact" in shown.stdout
    assert "sums: not settled; to show it takes" in shown.stdout
    told = json.loads(r1("compare", a, b, c, "--json").stdout)
    assert [(t["difference"], t["settled"], len(t["flips"])) for t in told] == [
        (pytest.approx(0.025), False, 1),
        (0.5, True, 20),
    ]
