import pytest

pytest.importorskip("datasets", reason="rows are datasets.Dataset objects")

from datasets import Dataset

from r1cli.data.rows import fingerprint, load_rows, rename
from r1cli.errors import PluginError, UsageError
from r1cli.plugins import Plugins
from r1cli.registry import Entry


def offering(function):
    plugins = Plugins([])
    plugins["datasets"].add(Entry("datasets", "custom", function, "", "test", False))
    return plugins


def test_half_a_character_is_one_line():
    plugins = offering(lambda: [{"prompt": "\ud800"}])
    with pytest.raises(UsageError, match=r"^dataset 'custom' at dataset holds half a character"):
        load_rows("custom", {}, plugins)


def test_rows_may_lack_columns_of_other_rows():
    plugins = offering(lambda: [{"a": 1}, {"a": 2, "b": "x"}])
    assert load_rows("custom", {}, plugins).to_list() == [
        {"a": 1, "b": None},
        {"a": 2, "b": "x"},
    ]


def test_a_column_of_mixed_types_is_named():
    plugins = offering(lambda: [{"n": 1, "a": "1"}, {"n": 2.5, "a": 2}])
    with pytest.raises(UsageError, match="'a' of dataset 'custom' at here mixes int and str"):
        load_rows("custom", {}, plugins, where="here")


@pytest.mark.parametrize("value", [2**70, [1, {"z": None}]])
def test_a_column_that_no_table_holds_is_named(value):
    plugins = offering(lambda: [{"n": 1, "a": value}])
    with pytest.raises(UsageError, match="column 'a' of dataset 'custom' at here has no type"):
        load_rows("custom", {}, plugins, where="here")


@pytest.mark.parametrize("returned", [None, 3, [1, 2], {"train": []}, ["row"]])
def test_what_is_no_rows_is_the_plugins_fault(returned):
    plugins = offering(lambda: returned)
    with pytest.raises(PluginError, match="dataset 'custom' at here returned no rows but"):
        load_rows("custom", {}, plugins, where="here")


def test_no_rows_is_an_error():
    plugins = offering(list)
    with pytest.raises(UsageError, match="dataset 'custom' at here is empty"):
        load_rows("custom", {}, plugins, where="here")


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        ({}, {"a": 1, "b": "x", "c": None}),
        ({"a": "a"}, {"a": 1, "b": "x", "c": None}),
        ({"z": "a"}, {"z": 1, "b": "x", "c": None}),
        ({"b": "a"}, {"b": 1, "c": None}),
        ({"a": "b", "b": "a"}, {"a": "x", "b": 1, "c": None}),
        ({"y": "a", "z": "a"}, {"y": 1, "z": 1, "b": "x", "c": None}),
        ({"z": "a", "a": "a"}, {"z": 1, "a": 1, "b": "x", "c": None}),
        ({"b": "a", "c": "a", "a": "b"}, {"b": 1, "c": 1, "a": "x"}),
    ],
)
def test_rename(columns, row):
    rows = Dataset.from_list([{"a": 0, "b": "w", "c": None}, {"a": 1, "b": "x", "c": None}])
    for one in (rows.select([1]), rows.shuffle(seed=0).filter(lambda row: row["a"] == 1)):
        assert rename(one, columns, "here").to_list() == [row]


def test_fingerprint_is_of_the_content():
    rows = Dataset.from_list([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}])
    same = Dataset.from_list([{"b": "x", "a": 1}, {"b": "y", "a": 2}])
    assert fingerprint(rows) == fingerprint(same) == "0b4016e6bba061f9"
    assert fingerprint(rows.select([1, 0])) != fingerprint(rows)
