import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1cli import source
from r1cli.errors import UsageError

TEXT = """\
model: {name: x}
rewards:
  - {name: a}
  - name: b
    weight: 2
trainer:
  args:
"""


@pytest.fixture
def text():
    return source.parse(TEXT, "my.yaml")


@pytest.mark.parametrize("number", ["2e-6", "2E6", "1.0e-6", ".5e1", "-3e+2", "1_000e3"])
def test_exponents_are_floats_in_a_file_and_in_set(text, number):
    assert source.parse(f"x: {number}", "f").data == {"x": float(number)}
    text.override(f"trainer.args.learning_rate={number}")
    assert text.data["trainer"]["args"]["learning_rate"] == float(number)


@pytest.mark.parametrize("word", ["e6", "2e", "2e-6x", "1.2.3e4", "v2e6"])
def test_what_only_looks_like_an_exponent_is_text(word):
    assert source.parse(f"x: {word}", "f").data == {"x": word}


@pytest.mark.parametrize("text", ["24:00:00", "1:30", "2-00:00:00", "010", "08"])
def test_times_and_leading_zeros_are_no_numbers(text):
    assert source.parse(f"x: {text}", "f").data == {"x": text}
    assert source.parse(source.dump({"x": text}), "f").data == {"x": text}


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("-3", -3), ("1_000", 1000), ("0x1f", 31)])
def test_whole_numbers(text, number):
    assert source.parse(f"x: {text}", "f").data == {"x": number}


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]))
    | st.from_regex(r"[-+]?[0-9.]{1,3}[eE][-+]?[0-9]{1,2}", fullmatch=True),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", min_size=1), inner),
    max_leaves=8,
)


@given(values)
def test_what_is_written_reads_back_as_it_was(value):
    assert source.parse(source.dump({"x": value}), "f").data == {"x": value}


def test_infinity_and_nan_read_back():
    data = source.parse(source.dump({"a": math.inf, "b": math.nan}), "f").data
    assert data["a"] == math.inf and math.isnan(data["b"])


# -- where -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("model",), 1),
        (("model", "name"), 1),
        (("rewards",), 2),
        (("rewards", 0, "name"), 3),
        (("rewards", 1), 4),
        (("rewards", 1, "weight"), 5),
        (("rewards", 1, "args", "deep"), 4),
        (("trainer", "args"), 7),
        (("elsewhere",), 1),
    ],
)
def test_every_key_knows_its_line_or_that_of_what_holds_it(text, key, line):
    assert text.at(key) == f"my.yaml:{line}"


def test_an_override_and_all_it_brings_is_at_set(text):
    text.override("rewards.1={name: c, args: {x: 1}}")
    assert text.at(("rewards", 1, "args", "x")) == "--set"
    assert text.at(("rewards", 1, "weight")) == "--set"
    assert text.at(("rewards", 0, "name")) == "my.yaml:3"


def test_merged_keys_are_where_they_were_written():
    text = source.parse("a: &a\n  x: 1\n  y: 2\nb: &b\n  <<: *a\n  x: 3\nc:\n  <<: *b\n", "f")
    assert text.data["c"] == {"x": 3, "y": 2}
    assert text.at(("c", "y")) == "f:3"


# -- --set -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("model.name=y", ("model", "name"), "y"),
        ("rewards.0.weight=0.5", ("rewards", 0, "weight"), 0.5),
        ("rewards.1={name: c}", ("rewards", 1), {"name": "c"}),
        ("trainer.args.a.b.c=[1, 2]", ("trainer", "args", "a", "b", "c"), [1, 2]),
        ("model.args.url=http://x/?a=b", ("model", "args", "url"), "http://x/?a=b"),
        ("system_prompt=", ("system_prompt",), None),
        ("system_prompt='2e-6'", ("system_prompt",), "2e-6"),
        ("model.args.2024=x", ("model", "args", "2024"), "x"),
        ("flag=yes", ("flag",), True),
    ],
)
def test_an_override_lands_where_it_says(text, assignment, path, value):
    text.override(assignment)
    place = text.data
    for part in path:
        place = place[part]
    assert place == value


def test_overrides_apply_in_order(text):
    text.override("model={name: y}")
    text.override("model.name=z")
    assert text.data["model"] == {"name": "z"}


@given(st.text())
def test_any_text_parses_or_is_refused_in_one_line(yaml):
    try:
        source.parse(yaml, "f")
    except UsageError as error:
        assert str(error).startswith("f") and "\n" not in str(error)


@given(st.text())
def test_any_override_applies_or_is_refused_in_one_line(assignment):
    text = source.parse(TEXT, "my.yaml")
    try:
        text.override(assignment)
    except UsageError as error:
        assert str(error).startswith("--set") and "\n" not in str(error)


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("Use #1 first. # Then stop", "Use #1 first. # Then stop"),
        ("Think.\nThen answer.\n", "Think.\nThen answer."),
        ("'one  # two'", "one  # two"),
        ('"a\\nb"', "a\nb"),
        ("|\n  a\n  b", "a\nb"),
        ("5 # of them", 5),
        ("", None),
    ],
)
def test_plain_text_is_what_was_typed(text, typed, value):
    text.override(f"trainer.args.said={typed}")
    assert text.data["trainer"]["args"]["said"] == value


def test_set_changes_one_of_the_places_that_an_alias_stands_in():
    text = source.parse("a: &one {args: {n: 4}}\nb: *one\nc: {<<: *one, limit: 3}\n", "f")
    text.override("a.args.n=8")
    assert text.data["a"] == {"args": {"n": 8}}
    assert text.data["b"] == {"args": {"n": 4}}
    assert text.data["c"] == {"args": {"n": 4}, "limit": 3}
