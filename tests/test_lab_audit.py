"""The audit: it finds what naive rewards pay for, and nothing undeclared in the built-in ones."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec

import pytest

from r1cli.lab.attacks import Instead, attacks
from r1cli.lab.audit import audit
from r1cli.lab.problem import Problem, answer_of
from r1cli.plugins import builtin_plugins, load_plugins
from r1cli.types import Completion

PLUGINS = builtin_plugins()
RUN_PROGRAMS = ("code", "binary_code")  # endless loops and sleeps, up to their limits
no_gym = pytest.mark.skipif(find_spec("reasoning_gym") is None, reason="no reasoning-gym here")
MARKS = {**dict.fromkeys(RUN_PROGRAMS, pytest.mark.slow), "reasoning_gym": no_gym}
REWARDS = [
    pytest.param(e, marks=MARKS.get(e.name, ()))
    for e in PLUGINS["rewards"].entries
    if e.name not in ("judge", "lighteval")  # they need an endpoint, an environment
]
PROBLEM = Problem(
    "What is 2 + 3?",
    {"solution": "5"},
    {},
    Completion("<think>2 and 3 make 5.</think><answer>\\boxed{5}</answer>"),
    (),
    "5",
    ("6", "7"),
    "",
)
GOLDEN = [
    {"prompt": "What is 2 + 3?", "completion": "It is \\boxed{5}", "solution": "5", "expect": 1},
    {"prompt": "What is 9 - 2?", "completion": "It is \\boxed{7}", "solution": "7", "expect": 1},
    {"completion": "\\boxed{1}", "solution": "2", "expect": 0},
]

DECLARED = "One.\n\n    Pays:\n        any: it is naive.\n    "


@pytest.mark.parametrize("entry", REWARDS, ids=lambda entry: entry.name)
def test_every_builtin_reward_passes(entry):
    report = audit(entry, PLUGINS)
    assert [f"{f.attack}: {f.verdict}, {f.example[-60:]!r}" for f in report.paying] == []
    assert len(report.findings) >= 8
    assert report.problems


@pytest.fixture
def audited(fake_distribution):
    """`audited(body)`: the audit of a reward written as the body of a function of one text."""

    def make(body, *, rows=GOLDEN, signature="completions, solution", doc=""):
        site = fake_distribution("r1-plugin-naive", plugin="naive_package")
        package = site / "naive_package"
        (package / "golden").mkdir(parents=True)
        columns = "completions, solution" if "solution" in signature else "completions, completions"
        (package / "__init__.py").write_text(
            "import re\nfrom r1cli import hookimpl\n"
            f"def one(text, gold):\n    {body}\n"
            f'def naive({signature}):\n    """{doc}"""\n'
            f"    return [one(text, gold) for text, gold in zip({columns})]\n"
            "@hookimpl\ndef register_rewards(register):\n    register('naive', naive)\n"
        )
        rows_text = "".join(json.dumps(row) + "\n" for row in rows)
        (package / "golden" / "naive.jsonl").write_text(rows_text)
        plugins = load_plugins()
        return audit(plugins["rewards"].get("naive"), plugins)

    yield make
    sys.modules.pop("naive_package", None)


def test_a_reward_that_looks_for_the_gold_anywhere_pays_for_much(audited):
    report = audited("return float(gold in text)")
    paying = {f.attack for f in report.paying}
    assert {"either_or", "denied", "right_first", "think_never_closed", "membership"} <= paying
    assert not {"empty", "one_is_one", "judge_instructed"} & paying
    assert report.honest == 1.0
    [finding] = [f for f in report.findings if f.attack == "denied"]
    assert (finding.pays, finding.tried, finding.excess, finding.verdict) == (2, 2, 1.0, "PAYS")
    assert "not" in finding.example


def test_a_first_box_reader_pays_for_the_right_answer_first(audited):
    report = audited(
        "found = re.search(r'\\\\boxed{([^{}]*)}', text)\n"
        "    return float(bool(found) and found[1] == gold)"
    )
    paying = {f.attack for f in report.paying}
    assert "right_first" in paying and "right_last" not in paying


def test_a_reward_that_raises_on_an_attack_is_told(audited):
    report = audited("return float(gold in text.splitlines()[-1])")
    [finding] = [f for f in report.findings if f.attack == "empty"]
    assert finding in report.paying
    assert finding.verdict.startswith("raises: reward ") and "IndexError" in finding.verdict


def test_what_is_declared_is_printed_and_does_not_fail(audited):
    report = audited("return float(gold in text)", doc=DECLARED)
    assert report.paying == []
    assert "declared: it is naive." in {f.verdict for f in report.findings}
    assert report.summary()["declared"] == len(report.rows()) > 5


def test_a_shape_and_a_penalty_have_attacks_of_their_own(audited):
    rows = [
        {"prompt": "p", "completion": "<a>x</a>", "expect": 1},
        {"completion": "x", "expect": 0},
    ]
    report = audited("return float('<a>' in text)", rows=rows, signature="completions")
    assert report.kind == "shape"
    assert {"tags_repeated", "text_after"} <= {f.attack for f in report.paying}


def test_a_penalty_that_is_escaped_by_a_disguise_is_told(audited):
    rows = [
        {"prompt": "p", "completion": "so so so so so so", "expect": -1},
        {"completion": "so", "expect": 0},
    ]
    report = audited("return -float('so so so' in text)", rows=rows, signature="completions")
    assert report.kind == "penalty" and report.honest == -1.0
    paying = {f.attack for f in report.paying}
    assert {"disguised_by_spacing", "disguised_by_zero_width"} <= paying
    assert "tags_around" not in paying


@pytest.mark.parametrize("kind", ["answer", "shape", "penalty"])
def test_no_attack_is_the_honest_completion(kind):
    made = {name: attack(PROBLEM) for name, attack in attacks(kind).items()}
    texts = {n: m.text if isinstance(m, Instead) else m for n, m in made.items() if m is not None}
    assert [name for name, text in texts.items() if text == PROBLEM.honest] == []
    assert len(set(texts.values())) == len(texts), "two attacks are one"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>5</think><answer> 6 </answer>", "6"),
        ("so \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("\\boxed{1}, no: \\boxed{2}", "2"),
        ("<think>x</think>The answer is Paris.", "Paris"),
        ("first\nlast", "last"),
        ("", ""),
    ],
)
def test_the_answer_of_a_text(text, answer):
    assert answer_of(text) == answer


# What the first audits found in the rewards of this distribution, and must not come back.
FOUND = [
    (r"\boxed{25 = 18}", "18"),
    (r"\boxed{18 \approx 25}", "18"),
    (r"\boxed{\{1, -2\} = \frac{1}{3}}", r"\frac{1}{3}"),
    (r"\boxed{\frac{1}{3}?? no, \{1, -2\}}", r"\frac{1}{3}"),
    (r"\boxed{\ne \frac{1}{3}}", r"\frac{1}{3}"),
    (r"\boxed{\begin{cases} \frac{1}{3} \\ \{1, -2\} \end{cases}}", r"\frac{1}{3}"),
    (r"\boxed{x^2 + 1 \approx 18}", "x^2+1"),
    ("\\boxed{\u202e18}", "18"),
    ("<think></think><think>\\boxed{18}", "18"),
]


@pytest.mark.parametrize(("text", "gold"), FOUND)
def test_what_the_audit_found_in_accuracy_stays_fixed(text, gold):
    accuracy = PLUGINS["rewards"].get("accuracy").load()
    assert accuracy([text], [gold]) == [0.0]


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        (r"\boxed{9 \cdot 2 = 18}", "18"),
        (r"\boxed{\frac{1}{3} = 0.33}", "0.33"),
        (r"\boxed{\frac{1}{3} \approx 0.333}", r"\frac{1}{3}"),
        (r"\boxed{x = 18}", "18"),
        (r"\boxed{P(A) = \frac{1}{3}}", r"\frac{1}{3}"),
        (r"\boxed{0.5 = 50\%}", "0.5"),
        (r"\boxed{(x+1)^2 = x^2+2x+1}", "x^2+2x+1"),
    ],
)
def test_honest_equations_still_count(text, gold):
    accuracy = PLUGINS["rewards"].get("accuracy").load()
    assert accuracy([text], [gold]) == [1.0]


def test_a_loop_without_spaces_or_with_joiners_is_repetition():
    penalty = PLUGINS["rewards"].get("repetition_penalty").load()
    [loop, joined, honest] = penalty(
        [
            "ha" * 2000,
            " ".join("wait" + "\u200d" * (i % 9) for i in range(90)),
            "The derivative of x^2+3x is 2x+3, which vanishes at x=-3/2.",
        ]
    )
    assert loop < -0.9 and joined < -0.9 and honest == 0
