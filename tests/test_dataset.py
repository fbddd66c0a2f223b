import json
from importlib.metadata import EntryPoint

import pytest

pytest.importorskip("datasets", reason="rows are datasets.Dataset objects")

from datasets import Dataset, concatenate_datasets

from r1cli import dataset
from r1cli import recipe_file as recipes
from r1cli.errors import UsageError
from r1cli.plugins import Plugins
from r1cli.registry import Entry

SEED = 5
REST = f"seed: {SEED}\nmodel: {{name: x}}\ntrainer: {{name: sft}}\n"


@pytest.fixture
def plugins():
    return Plugins([EntryPoint(name="r1_data", value="r1_data", group="r1cli.plugins")])


@pytest.fixture
def files(tmp_path, monkeypatch):
    """left.jsonl: 41 rows of question, gold, id; right.jsonl: 30 rows of problem, solution."""
    monkeypatch.chdir(tmp_path)
    left = [{"question": f"l{i}", "gold": str(i), "id": i} for i in range(41)]
    right = [{"problem": f"r{i}", "solution": str(i)} for i in range(30)]
    for name, rows in (("left", left), ("right", right)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text)
    return left, right


def load(text, plugins, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(REST + text)
    return dataset.load(recipes.load(str(path)), plugins)


def part(name, columns="", weight=""):
    columns = f", columns: {{{columns}}}" if columns else ""
    weight = f", weight: {weight}" if weight else ""
    return f"    - {{name: file, args: {{path: {name}.jsonl}}{columns}{weight}}}\n"


def offering(plugins, function, name="custom"):
    plugins["datasets"].add(Entry("datasets", name, function, "", "test", False))
    return plugins


# -- one dataset -----------------------------------------------------------------------------------


def test_one_dataset_keeps_its_order_and_its_columns(files, plugins, tmp_path):
    rows = load("dataset: {name: file, args: {path: left.jsonl}}", plugins, tmp_path)
    assert rows.to_list() == files[0]


def test_columns_rename_and_keep_the_rest(files, plugins, tmp_path):
    text = "dataset: {name: file, args: {path: left.jsonl}, columns: {prompt: question}}"
    rows = load(text, plugins, tmp_path)
    assert set(rows.column_names) == {"prompt", "gold", "id"}
    assert rows["prompt"][:3] == ["l0", "l1", "l2"]


def test_the_seed_of_the_recipe_reaches_the_dataset(plugins, tmp_path):
    def seeded(*, seed: int = 0):
        return [{"seed": seed}]

    offering(plugins, seeded)
    assert load("dataset: {name: custom}", plugins, tmp_path)["seed"][:] == [SEED]
    text = "dataset: {name: custom, args: {seed: 9}}"
    assert load(text, plugins, tmp_path)["seed"][:] == [9]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{name: fil, args: {path: x}}", "no dataset 'fil' at dataset.*did you mean 'file'"),
        ("{name: file, args: {pat: x}}", r"no argument 'pat'.*recipe.yaml:4.*did you mean 'path'"),
        ("{name: file}", "dataset 'file' needs argument 'path'"),
        ("{name: countdown, args: {size: many}}", "argument 'size' = 'many'"),
        ("{name: countdown, args: {split: val}}", "argument 'split' = 'val'"),
        (
            "{name: file, args: {path: left.jsonl}, columns: {prompt: qestion}}",
            r"no column 'qestion' for 'prompt' at .*recipe.yaml:4\) columns; did you mean 'ques",
        ),
    ],
)
def test_a_wrong_word_is_named_with_its_place(files, plugins, tmp_path, text, said):
    with pytest.raises(UsageError, match=said):
        load(f"dataset: {text}", plugins, tmp_path)


# -- a mixture -------------------------------------------------------------------------------------


def test_a_mixture_is_what_open_r1_makes_of_it(files, plugins, tmp_path):
    """Shuffle and cut each part, concatenate, shuffle again, all with one seed."""
    left, right = files
    text = "dataset:\n  mixture:\n" + (
        part("left", "problem: question, solution: gold", 0.25) + part("right", weight=0.5)
    )
    named = [{"problem": row["question"], "solution": row["gold"]} for row in left]
    parts = [
        Dataset.from_list(rows).shuffle(seed=SEED).select(range(count))
        for rows, count in ((named, 41 // 4), (right, 30 // 2))
    ]
    rows = load(text, plugins, tmp_path)
    assert rows.to_list() == concatenate_datasets(parts).shuffle(seed=SEED).to_list()
    assert rows.to_list() == load(text, plugins, tmp_path).to_list()
    assert sorted(rows["problem"])[0].startswith("l") and len(rows) == 10 + 15


def test_whole_parts_are_mixed_too(files, plugins, tmp_path):
    text = "dataset:\n  mixture:\n" + part("left", "problem: question, solution: gold")
    rows = load(text + part("right"), plugins, tmp_path)
    assert len(rows) == 71
    assert len({row[0] for row in rows["problem"][:20]}) == 2


def test_columns_in_another_order_are_the_same_columns(plugins, tmp_path):
    offering(plugins, lambda: [{"a": 1, "b": "x"}], "one")
    offering(plugins, lambda: [{"b": "y", "a": 2}], "other")
    rows = load("dataset: {mixture: [{name: one}, {name: other}]}", plugins, tmp_path)
    assert sorted(rows.to_list(), key=lambda row: row["a"]) == [
        {"a": 1, "b": "x"},
        {"a": 2, "b": "y"},
    ]


def test_parts_with_different_columns_are_refused(files, plugins, tmp_path):
    text = "dataset:\n  mixture:\n" + part("left") + part("right")
    with pytest.raises(UsageError, match=r"\['gold', 'id', 'question'\] in part 0, \['problem'"):
        load(text, plugins, tmp_path)


def test_parts_with_different_types_are_refused(plugins, tmp_path):
    offering(plugins, lambda: [{"a": 1}], "one")
    offering(plugins, lambda: [{"a": "1"}], "other")
    with pytest.raises(UsageError, match="columns of different types") as error:
        load("dataset: {mixture: [{name: one}, {name: other}]}", plugins, tmp_path)
    assert "\n" not in str(error.value)


def test_a_weight_that_leaves_nothing_is_refused(files, plugins, tmp_path):
    text = "dataset:\n  mixture:\n" + part("right", weight=0.01)
    with pytest.raises(UsageError, match=r"weight 0.01 leaves none of the 30 rows.*recipe.yaml:6"):
        load(text, plugins, tmp_path)


@pytest.mark.parametrize(("size", "held"), [(0.25, (2, 6)), (7, (2, 5)), (1, (0, 1))])
def test_what_is_held_out_is_no_row_that_oversampling_repeats(plugins, tmp_path, size, held):
    for name, count in (("one", 8), ("other", 24)):
        rows = [{"prompt": f"{name} {number}"} for number in range(count)]
        offering(plugins, lambda rows=rows: rows, name)
    path = tmp_path / "recipe.yaml"
    path.write_text(
        REST + "dataset:\n  mixture: [{name: one, weight: 3}, {name: other}]\n"
        f"  oversample: true\n  test_split_size: {size}\n"
    )
    train, held_out = dataset.load_split(recipes.load(str(path)), plugins)
    assert (len(train), len(held_out)) == (3 * (8 - held[0]) + 24 - held[1], sum(held))
    assert len(set(held_out["prompt"])) == sum(held) and not {*train["prompt"]} & {
        *held_out["prompt"]
    }
