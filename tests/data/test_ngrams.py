"""Found is what a plain search finds: every level, every n, every kind of text."""

import json
import random
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("numpy")

from r1cli.data import ngrams
from r1cli.data.ngrams import Index
from r1cli.data.normalisation import LEVELS, robust

BENCH = Path(__file__).resolve().parents[3] / "shared" / "data" / "bench"
SENTENCE = "Find the remainder when the number of ways is divided by 1000"


def plain(texts, items, n, level="open-r1"):
    """open-r1's algorithm: {text: {item: n-grams}}."""
    normalise = LEVELS[level].normalise

    def grams(text):
        words = " ".join(normalise(text).strip().split()).split()
        return [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]

    lookup = defaultdict(set)
    for number, item in enumerate(items):
        for gram in grams(item):
            lookup[gram].add(number)
    found = defaultdict(lambda: defaultdict(set))
    for number, text in enumerate(texts):
        for gram in grams(text):
            for item in lookup.get(gram, ()):
                found[number][item].add(gram)
    return {
        text: {item: len(grams) for item, grams in by_item.items()}
        for text, by_item in found.items()
    }


def ours(texts, items, n, level="open-r1"):
    found = Index(items, n, LEVELS[level]).find(texts)
    return {text: {o.item: o.count for o in overlaps} for text, overlaps in found.items()}


def test_flags_are_those_of_open_r1():
    """As executed upstream: a prefix of 7 words and an inserted comma are not found."""
    texts = [
        SENTENCE,
        "FIND  the\tremainder when\nthe number of ways, they say",
        "Find the remainder when the number of",
        "Find the remainder, when the number of ways is, divided by 1000",
        "",
        "  ",
    ]
    assert ours(texts, [SENTENCE], 8) == plain(texts, [SENTENCE], 8)
    assert set(ours(texts, [SENTENCE], 8)) == {0}
    assert set(ours(texts, [SENTENCE], 7)) == {0, 1, 2}


WORDS = (
    *("a", "b", "c", "ab", "abcdefgh", "abcdefghi", "abcdefghj", "ABCDEFGH", "1", "12", ","),
    *("\\frac{1}{2}", "\u0130", "\u1e9e", "\u03a3\u03a3", "\u00e9t\u00e9", "\u6570\u5b66"),
    *("\U0001d7d9", "x\u0301", "\ud800", "--", "abcdefghabcdefgh"),
)
BLANKS = (" ", "  ", "\n", "\t", "\r\n", "\u00a0", "\u2003", "\u3000", "\x1c", "\x85", "\u2028")


@pytest.mark.parametrize("n", [1, 2, 3, 8])
@pytest.mark.parametrize("seed", range(4))
def test_random_texts_are_judged_as_by_the_plain_search(n, seed, monkeypatch):
    rng = random.Random(f"{n} {seed}")

    def text(most):
        words = rng.choices(WORDS, k=rng.randrange(most))
        return "".join(word + rng.choice(BLANKS) for word in words)

    monkeypatch.setattr(ngrams, "CHARACTERS", rng.choice([40, 500, 2**16]))
    items = [text(20) for _ in range(6)] + [""]
    texts = [text(60) for _ in range(80)] + [text(10) + item + text(5) for item in items]
    expected = plain(texts, items, n)
    assert expected
    assert ours(texts, items, n) == expected


def test_nothing_reaches_from_one_text_or_item_into_the_next():
    first, second = SENTENCE.split()[:6], SENTENCE.split()[6:]
    halves = [" ".join(first), " ".join(second)]
    assert ours(halves, [SENTENCE], 8) == {}
    assert ours([SENTENCE], halves, 8) == {}


def test_the_overlap_names_item_and_words():
    [overlap] = Index(["other words", SENTENCE], 8, LEVELS["open-r1"]).find([SENTENCE.upper()])[0]
    assert (overlap.item, overlap.count) == (1, 5)
    assert overlap.ngram == "find the remainder when the number of ways"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("the value of $\\frac{1}{2}$ is", "The value of \\( \\dfrac 1 2 \\) is"),
        ("a total of $1,000$ or 1{,}000", "a total of 1000, or $1000$."),
        ("in $2x\\,+\\;3y$ cm", "in 2x + 3y \\text{cm}"),
        ("$\\left( a \\right)$ and \\quad b", "$(a)$ and b"),
        ("\uff21BC \u2014 \u201cquoted\u201d", 'abc - "quoted"'),
        ("\u6c42 \u6700\u5927\u503c", "\u6c42\u6700\u5927\u503c"),
    ],
)
def test_the_robust_level_sees_through_spelling(a, b):
    assert robust(a) == robust(b)
    assert robust(a)


@pytest.mark.parametrize(("a", "b"), [("1,5 and 2", "15 and 2"), ("12", "1 2"), ("left", "")])
def test_the_robust_level_keeps_what_differs(a, b):
    assert robust(a) != robust(b)


def test_short_texts_are_compared_whole_where_the_level_says_so():
    items = ["Compute $\\dbinom{8}{4}$.", SENTENCE]
    texts = ["compute \\binom 8 4", "Compute $\\dbinom84$", "Compute", ""]
    assert ours(texts, items, 8, "robust") == {0: {0: 1}}
    assert ours([items[0]], items, 8) == {}, "open-r1 never finds them"


@pytest.mark.skipif(not BENCH.is_dir(), reason=f"{BENCH} is not here")
def test_real_overlaps_are_those_counted_elsewhere():
    """`decontam_overlaps.json` was computed by other code under the rule it states."""

    def texts(name):
        rows = map(json.loads, (BENCH / f"{name}.jsonl").read_text("utf-8").splitlines())
        return [row.get("problem") or row["question"] for row in rows]

    def rule(text):
        return re.sub("[^a-z0-9 ]+", " ", text.lower())

    expected = json.loads((BENCH / "decontam_overlaps.json").read_text("utf-8"))["overlaps"]
    level = replace(LEVELS["open-r1"], normalise=rule, joined=False)
    for n in (8, 13):
        for rows, bench, name in (
            ("gsm8k_train", "gsm8k_test", "gsm8k/train -> gsm8k/test"),
            ("math_train", "math_500", "math/train -> math500"),
            ("math_test", "aime24", "math/test -> aime24"),
        ):
            found = Index(texts(bench), n, level).find(texts(rows))
            items = {overlap.item for several in found.values() for overlap in several}
            counted = expected[f"{n}-gram {name}"]
            assert (len(found), len(items)) == (counted["train_hit"], counted["eval_hit"])
