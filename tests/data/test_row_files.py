"""Rows written and read again, whatever the format, and `r1 data convert|make|mix|push|pull`."""

import json
import subprocess
import sys

import loopback_hub
import pytest

pytest.importorskip("datasets")

from r1cli.data import row_writer
from r1cli.data.row_file import RowFile
from r1cli.data.row_writer import RowWriter
from r1cli.errors import UsageError

ROWS = [
    {"text": "a\u2028b \U0001d7d9", "n": None, "messages": [{"role": "user", "content": "hi"}]},
    {"text": "", "n": 1, "messages": None},
    {"text": "c", "n": 2.5, "messages": []},
]


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(path, rows):
    with RowWriter(path) as writer:
        for row in rows:
            writer.write(row)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_rows_come_back_as_they_went(tmp_path, monkeypatch, name, chunk):
    monkeypatch.setattr(row_writer, "CHUNK", chunk)
    write(tmp_path / name, ROWS)
    assert list(RowFile(tmp_path / name)) == ROWS
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_columns_that_come_late_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr(row_writer, "CHUNK", 1)
    write(tmp_path / "a.parquet", [{"a": 1}, {"b": "x"}])
    assert list(RowFile(tmp_path / "a.parquet")) == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_what_breaks_off_leaves_the_file_that_was_there(tmp_path, name):
    write(tmp_path / name, ROWS[:1])
    with pytest.raises(RuntimeError), RowWriter(tmp_path / name) as writer:
        writer.write(ROWS[1])
        raise RuntimeError
    assert list(RowFile(tmp_path / name)) == ROWS[:1]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_column_of_two_types_is_refused_by_parquet(tmp_path, monkeypatch):
    monkeypatch.setattr(row_writer, "CHUNK", 1)
    with pytest.raises(UsageError, match="mixes types.*use .jsonl"):
        write(tmp_path / "a.parquet", [{"a": 1}, {"a": "x"}])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("a.parquet", {"a": 2**70}, "column 'a' .*too large.*use .jsonl"),
        ("a.parquet", {"a": {}}, "a column .*struct.*use .jsonl"),
        ("a.parquet", {}, "rows without any column"),
        ("a.jsonl", {"a": b"\xff"}, "a row holds bytes, .*use .parquet"),
    ],
)
def test_what_a_format_has_no_place_for(tmp_path, name, row, said):
    with pytest.raises(UsageError, match=said):
        write(tmp_path / name, [row])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_half_a_character_costs_itself_alone(tmp_path, name):
    write(tmp_path / name, [{"a": [{"b": "x\ud800y"}], "c": 1}])
    assert list(RowFile(tmp_path / name)) == [{"a": [{"b": "x?y"}], "c": 1}]


def test_two_may_write_one_file_at_a_time(tmp_path):
    with RowWriter(tmp_path / "a.jsonl") as first, RowWriter(tmp_path / "a.jsonl") as second:
        for number in range(2000):
            first.write({"n": number})
            second.write({"n": number})
    assert [row["n"] for row in RowFile(tmp_path / "a.jsonl")] == list(range(2000))
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_a_full_disk_is_said(tmp_path, name):
    """However much of it is written, or kept to be written when the file is closed."""
    program = (
        "import os, resource, signal, sys; from pathlib import Path; "
        "from r1cli.data.row_writer import RowWriter; from r1cli.errors import ProviderError; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "for rows in (40, 4000):\n"
        "    try:\n"
        "        with RowWriter(Path(sys.argv[1])) as writer:\n"
        "            for _ in range(rows): writer.write({'a': os.urandom(100).hex()})\n"
        "    except ProviderError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, name], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.count("no space left while writing") == 2, done.stderr
    assert not list(tmp_path.iterdir())


def test_reading_tells_how_far_it_is(tmp_path):
    for name in ("a.jsonl", "a.parquet"):
        write(tmp_path / name, [{"a": n} for n in range(10)])
        rows = RowFile(tmp_path / name)
        done = [rows.done for _ in rows]
        assert done == sorted(done)
        assert done[-1] == rows.total
    assert rows.total == 10


def test_the_last_row_of_what_is_made_is_all_of_it(r1):
    answer = r1("data", "make", "countdown", "--size", 3, "--out", "a.jsonl")
    assert answer.stderr.splitlines()[-1] == "a.jsonl: 3/3"


# -- the commands ----------------------------------------------------------------------------------


def test_convert_there_and_back(tmp_path, r1):
    write(tmp_path / "a.jsonl", ROWS)
    assert r1("data", "convert", "a.jsonl", "b.parquet").exit_code == 0
    answer = r1("data", "convert", "b.parquet", "c.jsonl")
    assert answer.stdout == "3 rows in c.jsonl\n"
    assert list(RowFile("c.jsonl")) == ROWS


def test_parquet_keeps_its_types(tmp_path, r1):
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table(
        {
            "u": pa.array([2**64 - 1, 0], pa.uint64()),
            "f": pa.array([0.1, None], pa.float32()),
            "m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
            "b": [b"\xff", None],
            "n": pa.array([None, None], pa.string()),
        }
    )
    parquet.write_table(table, "a.parquet")
    answer = r1("data", "convert", "a.parquet", "b.parquet", "--rename", "b=n", "--rename", "x=u")
    assert answer.exit_code == 0, answer.stderr
    made = parquet.read_table("b.parquet")
    assert made.equals(table.drop_columns("b").rename_columns({"u": "x", "n": "b"}))


def test_images_of_a_dataset_are_written_as_they_are_stored(tmp_path, r1):
    from datasets import Dataset, Features, Image, Value

    kinds = Features({"prompt": Value("string"), "image": Image()})
    rows = [{"prompt": text, "image": {"bytes": b"\x89PNG", "path": None}} for text in "ab"]
    (tmp_path / "in").mkdir()
    Dataset.from_list(rows, features=kinds).to_parquet(tmp_path / "in" / "train.parquet")
    (tmp_path / "recipe.yaml").write_text(
        "model: {name: x}\ntrainer: {name: sft}\ndataset: {name: hub, args: {id: in}}\n"
    )
    for command, source in (("convert", "in"), ("mix", "recipe.yaml")):
        out = ("--out",) if command == "mix" else ()
        answer = r1("data", command, source, *out, "out.parquet")
        assert answer.exit_code == 0, answer.stderr
        assert list(RowFile("out.parquet")) == rows


def test_convert_renames(tmp_path, r1):
    write(tmp_path / "a.jsonl", [{"a": 1, "b": 2, "c": 3}])
    given = ("--rename", "b=a", "--rename", "x=c")
    assert r1("data", "convert", "a.jsonl", "b.jsonl", *given).exit_code == 0
    assert list(RowFile("b.jsonl")) == [{"b": 1, "x": 3}]


def test_convert_stops_at_a_broken_line_or_counts_it(tmp_path, r1):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": \n{"a": 3}\n')
    answer = r1("data", "convert", "a.jsonl", "b.jsonl")
    assert answer.exit_code == 2
    assert 'a.jsonl line 2 ({"a":) is no row' in answer.stderr
    assert not (tmp_path / "b.jsonl").exists()
    answer = r1("data", "convert", "a.jsonl", "b.jsonl", "--on-error", "skip")
    assert answer.stdout == "2 rows in b.jsonl, 1 skipped\n"
    assert list(RowFile("b.jsonl")) == [{"a": 1}, {"a": 3}]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("convert", "a.jsonl", "a.jsonl"), "--out a.jsonl is what is read"),
        (("convert", "file", "a.jsonl", "--arg", "path=a.jsonl"), "a.jsonl is what is read"),
        (("convert", "hub", "b.jsonl", "--arg", "id=."), "b.jsonl is in a folder that is read"),
        (("convert", "~/a.jsonl", "a.jsonl"), "--out a.jsonl is what is read"),
        (("convert", "no.jsonl", "b.jsonl"), "no such file: no.jsonl"),
        (("convert", "a.jsonl", "b.jsonl", "--rename", "b=c"), "row 1 has no column 'c'; known: a"),
        (("convert", "a.jsonl", "b.jsonl", "--rename", "b"), "'b' is not of the form"),
        (
            ("convert", "a.jsonl", "b.jsonl", "--rename", "b=a", "--rename", "c=a"),
            "'c=a': one of the two has another",
        ),
        (("convert", "nothing", "b.jsonl"), "'nothing' is no file, no folder, no hub id"),
        (("convert", "a.jsonl", "b.csv"), "rows are written as .jsonl"),
        (("convert", "a.jsonl", "a.jsonl/b.jsonl"), "nothing can be written in .*a.jsonl"),
        (("convert", "a.jsonl", "b.jsonl", "--arg", "format=parquet"), "is not a Parquet file"),
        (("make", "countdwn", "--out", "b.jsonl"), "did you mean 'countdown'"),
        (("make", "file", "--out", "b.jsonl"), "'file' is not made here: it takes no size"),
        (
            ("make", "countdown:x", "--out", "b.jsonl"),
            "'countdown' takes no tasks; it takes: split",
        ),
        (
            ("make", "countdown", "--out", "b.jsonl", "--difficulty", "9"),
            "no difficulty 9: use 0 to 6",
        ),
        (("make", "countdown", "--out", "b.jsonl", "--split", "dev"), "'split' = 'dev'"),
        (("push", "a.jsonl", "me/x", "--split", "a b"), "'a b' is no name for a split"),
    ],
)
def test_what_cannot_be_done(tmp_path, r1, args, said, monkeypatch):
    import re

    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "a.jsonl", [{"a": 1}])
    answer = r1("data", *args)
    assert answer.exit_code == 2
    assert re.search(said, answer.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_made_splits_share_no_problem(r1):
    made = {}
    for split in ("train", "test"):
        given = ("--size", 40, "--split", split, "--difficulty", 2, "--out", f"{split}.jsonl")
        assert r1("data", "make", "countdown", *given).exit_code == 0
        made[split] = list(RowFile(f"{split}.jsonl"))
    keys = [{(*sorted(r["numbers"]), r["target"]) for r in rows} for rows in made.values()]
    assert [len(key) for key in keys] == [40, 40]
    assert not keys[0] & keys[1]
    assert {len(row["numbers"]) for rows in made.values() for row in rows} == {4}


MIX = """\
model: {name: x}
trainer: {name: sft}
dataset:
  mixture:
    - {path: a.jsonl, columns: [q], weight: 3}
    - {path: b.jsonl, columns: {q: text}, weight: 1}
  proportions: true
  size: 8
  test_split_size: 2
"""


def test_mix_writes_what_a_recipe_trains_on_and_says_the_counts(tmp_path, r1):
    write(tmp_path / "a.jsonl", [{"q": f"a{n}", "x": n} for n in range(20)])
    write(tmp_path / "b.jsonl", [{"text": f"b{n}"} for n in range(20)])
    (tmp_path / "recipe.yaml").write_text(MIX)
    answer = r1("data", "mix", "recipe.yaml", "--out", "train.jsonl", "--test-out", "test.jsonl")
    assert answer.exit_code == 0, answer.stderr
    assert "6 of the 20 rows of a.jsonl" in answer.stderr
    assert "2 of the 20 rows of b.jsonl" in answer.stderr
    train, test = list(RowFile("train.jsonl")), list(RowFile("test.jsonl"))
    assert (len(train), len(test)) == (6, 2)
    texts = [row["q"] for row in train + test]
    assert len(set(texts)) == 8
    assert sum(text.startswith("a") for text in texts) == 6
    answer = r1("data", "mix", "recipe.yaml", "--out", "x.jsonl", "--set", "dataset.size=60")
    assert answer.exit_code == 2
    assert "45 rows are wanted of dataset 'file' at dataset.mixture.0" in answer.stderr


def test_the_rows_held_out_go_to_a_file_of_their_own(tmp_path, r1):
    for name in "ab":
        write(tmp_path / f"{name}.jsonl", [{"q": n, "text": n} for n in range(20)])
    (tmp_path / "recipe.yaml").write_text(MIX)
    for test_out, said in (
        ("./t.jsonl", "--out and --test-out are both t.jsonl: give each a file of its own"),
        ("b.jsonl", "--test-out b.jsonl is what is read"),
    ):
        answer = r1("data", "mix", "recipe.yaml", "--out", "t.jsonl", "--test-out", test_out)
        assert answer.exit_code == 2 and said in answer.stderr
    assert not (tmp_path / "t.jsonl").exists()


@pytest.mark.parametrize(
    ("set_", "said"),
    [
        ("dataset.proportions=false", "size needs proportions: true"),
        ("dataset.test_split_size=8", "test_split_size 8 at .* does not fit 8 rows"),
        ("dataset.mixture.0.path=x.jsonl", "--out x.jsonl is what is read"),
        ("dataset.mixture.0.path=~/x.jsonl", "--out x.jsonl is what is read"),
        ("dataset.mixture.0.id=a/b", "either id, of the hub, or path, of a file"),
    ],
)
def test_a_mixture_that_says_nothing_sensible(tmp_path, r1, set_, said, monkeypatch):
    import re

    monkeypatch.setenv("HOME", str(tmp_path))
    for name in "abx":
        write(tmp_path / f"{name}.jsonl", [{"q": "x", "text": "y"}] * 20)
    (tmp_path / "recipe.yaml").write_text(MIX)
    answer = r1("data", "mix", "recipe.yaml", "--out", "x.jsonl", "--set", set_)
    assert answer.exit_code == 2
    assert re.search(said, answer.stderr), answer.stderr


# -- the hub ---------------------------------------------------------------------------------------


def test_pushed_rows_are_private_and_take_the_place_of_their_split_alone(tmp_path, r1, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    for name in ("HF_HUB_OFFLINE", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN", loopback_hub.TOKEN)
    write(tmp_path / "a.jsonl", ROWS)
    with loopback_hub.Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        before = {f"data/train-0000{n}-of-00002.parquet": hub.store(b"old") for n in (0, 1)}
        there = hub.create(f"{loopback_hub.USER}/rows", "dataset")
        there.add("main", "as another tool split it", {**before, "other.txt": hub.store(b"x")})
        for split in ("train", "test"):
            answer = r1("data", "push", "a.jsonl", "rows", "--split", split, "--json")
            assert answer.exit_code == 0, answer.stderr
        [done] = json.loads(answer.stdout)
        assert done["place"] == f"datasets/{loopback_hub.USER}/rows@main"
        repo = hub.repos["dataset", f"{loopback_hub.USER}/rows"]
        assert repo.private
        files = repo.find("main").files
        data = {f"data/{split}-00000-of-00001.parquet" for split in ("train", "test")}
        assert set(files) == {*data, "README.md", "other.txt"}
        name, path = f"{loopback_hub.USER}/rows", "data/train-00000-of-00001.parquet"
        (tmp_path / "b.parquet").write_bytes(hub.read(name, path, kind="dataset"))
        assert list(RowFile("b.parquet")) == ROWS
