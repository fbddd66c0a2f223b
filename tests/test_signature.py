"""The signature of a function is what a recipe may say about it."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from r1cli.errors import UsageError
from r1cli.signature import bind, collects_columns, columns, parameters, takes_prompts

if TYPE_CHECKING:
    from nowhere import Nothing


def cosine(completions, solution, level=None, *, max_length: int, low: float = -1.0, **rest): ...


def dataset(*, path: Path, split: Literal["train", "test"] = "train", seed: int = 0): ...


def bound(function, args, **options):
    return bind(function, args, what="reward 'cosine'", where="rewards.0.args", **options)


def message(function, args, **options):
    with pytest.raises(UsageError) as error:
        bound(function, args, **options)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_columns_are_the_positional_parameters():
    read = columns(cosine)
    assert (read.required, read.optional) == (("solution",), ("level",))
    assert columns(lambda completions, prompts, **rest: 0).required == ()


def test_prompts_are_handed_to_who_asks():
    assert takes_prompts(lambda completions, prompts: 0)
    assert takes_prompts(cosine)
    assert collects_columns(cosine)
    assert not takes_prompts(lambda completions: 0)
    assert not collects_columns(lambda completions: 0)


def test_args_are_the_keyword_only_parameters():
    assert list(parameters(cosine)) == ["max_length", "low"]


def test_values_are_converted_to_what_is_annotated():
    assert bound(cosine, {"max_length": "3", "low": 1}) == {"max_length": 3, "low": 1.0}
    assert bound(dataset, {"path": "a/b"}) == {"path": Path("a/b")}


def test_only_what_is_given_is_returned():
    assert bound(cosine, {"max_length": 3}) == {"max_length": 3}


def test_an_unknown_argument_is_told_the_nearest_one():
    assert message(cosine, {"max_lenght": 3}) == (
        "reward 'cosine' has no argument 'max_lenght', given at rewards.0.args; "
        "did you mean 'max_length'?"
    )
    assert message(cosine, {"colour": 3}).endswith("; it takes: max_length, low")
    assert message(lambda *, x=1: 0, {"colour": 3}, also=["n"]).endswith("; it takes: x, n")
    assert message(lambda: 0, {"colour": 3}).endswith("; it takes: none")


def test_a_missing_argument_is_named():
    expected = "reward 'cosine' needs argument 'max_length', missing at rewards.0.args"
    assert message(cosine, {}) == expected
    assert bound(cosine, {}, expected=["max_length"]) == {}


def test_what_the_caller_supplies_cannot_be_given():
    text = message(cosine, {"max_length": 3}, expected=["max_length"])
    assert text.endswith("; it takes: low")


@pytest.mark.parametrize(
    ("function", "args", "expected"),
    [
        (cosine, {"max_length": 1.5}, "argument 'max_length' = 1.5, given at rewards.0.args: "),
        (cosine, {"max_length": None}, "argument 'max_length' = None, given at rewards.0.args: "),
        (dataset, {"path": "x", "split": "dev"}, "input should be 'train' or 'test'"),
        (lambda *, x: 0, {"y": 1}, "has no argument 'y'"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(function, args, expected):
    assert expected in message(function, args)


def test_a_wrong_item_is_named_with_its_place():
    def tags(completions, *, names: list[str] | None = None): ...

    assert bound(tags, {"names": ["a"]}) == {"names": ["a"]}
    assert "argument 'names[1]' = 3, given at" in message(tags, {"names": ["a", 3]})


def test_services_are_handed_in_where_they_are_asked_for():
    assert bound(dataset, {"path": "x"}, services={"seed": 7, "code": 1})["seed"] == 7
    assert bound(dataset, {"path": "x", "seed": 2}, services={"seed": 7})["seed"] == 2


def test_a_function_that_takes_anything_gets_anything():
    def anything(*, x: int = 0, **rest): ...

    assert bound(anything, {"x": "1", "y": "2"}) == {"x": 1, "y": "2"}


def test_the_columns_of_a_reward_are_no_arguments():
    assert "has no argument 'solution'" in message(cosine, {"max_length": 1, "solution": "x"})


def test_what_only_a_type_checker_imports_is_not_checked():
    def callback(run: "Nothing", *, every: "int" = 1, thing: "Nothing" = None) -> "Nothing": ...

    assert bound(callback, {"every": "2", "thing": "x"}) == {"every": 2, "thing": "x"}
    assert "argument 'every' = 'x'" in message(callback, {"every": "x"})


def test_an_argument_may_have_any_name():
    def odd(*, schema: str = "", copy: bool = False, model_config: Any = 1, _x: int = 0): ...

    given = {"schema": "a", "copy": True, "model_config": {}, "_x": 2}
    assert bound(odd, given) == given


def test_classes_partials_and_callable_objects_have_signatures_too():
    class Launcher:
        def __init__(self, *, level: "int" = 0): ...

    class Reward:
        def __call__(self, completions, solution, *, level: int = 0): ...

    def nice(*, level: "int" = 0, job=None): ...

    for thing in Launcher, Reward(), functools.partial(nice, job=1):
        assert bound(thing, {"level": "3"}) == {"level": 3}
    assert columns(Reward()).required == ("solution",)
