import gzip
import json
import logging
import os

import pytest

from r1_data.file import file
from r1cli import UsageError

ROWS = [{"problem": "1+1", "answer": 2}, {"problem": "\\frac{1}{2}\n+", "answer": 3}]
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(path, content):
    content = content.encode() if isinstance(content, str) else content
    return path.write_bytes(content)


def rows(result):
    return result if isinstance(result, list) else result.to_list()


def packed(text):
    """The same bytes at any time: pytest's workers must collect the same parameters."""
    return gzip.compress(text.encode(), mtime=0)


def parquet():
    from io import BytesIO

    import pyarrow as pa
    from pyarrow import parquet

    buffer = BytesIO()
    parquet.write_table(pa.Table.from_pylist(ROWS), buffer)
    return buffer.getvalue()


CSV = 'problem,answer\n1+1,2\n"\\frac{1}{2}\n+",3\n'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", JSONL),
        ("a.ndjson", JSONL),
        ("upper.JSONL", JSONL),
        ("a.jsonl.gz", packed(JSONL)),
        ("bom.jsonl", "\ufeff" + JSONL),
        ("blank.jsonl", "\n" + JSONL.replace("\n", "\r\n\r\n")),
        ("unended.jsonl", JSONL.rstrip()),
        ("a.json", json.dumps(ROWS, indent=1)),
        ("a.json.gz", packed(json.dumps(ROWS))),
        ("a.csv", CSV),
        ("a.csv.gz", packed(CSV)),
        ("a.parquet", parquet()),
    ],
)
def test_every_format_gives_the_same_rows(tmp_path, name, content):
    write(tmp_path / name, content)
    assert rows(file(path=name)) == ROWS  # relative to the working directory
    assert rows(file(path=str(tmp_path / name))) == ROWS


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        ("7 -12", [7, -12]),
        ("007 12", ["007", "12"]),
        ("1e5 2", ["1e5", "2"]),
        ("NA 3", ["NA", "3"]),
        ("0.50 0.25", ["0.50", "0.25"]),
        ("0.5 1 2.0 1e-05", [0.5, 1.0, 2.0, 1e-05]),
        ("12345678901234567890 1", ["12345678901234567890", "1"]),
        ("+5 6", ["+5", "6"]),
        ("True False", [True, False]),
        ("2020-01-02 2020-01-03", ["2020-01-02", "2020-01-03"]),
        ('"" 3', [None, 3]),
        ('"" x', ["", "x"]),
        ('"" ""', [None, None]),
    ],
)
def test_text_of_csv_is_a_number_only_where_that_is_written_the_same(tmp_path, fields, values):
    write(tmp_path / "a.csv", "answer\n" + fields.replace(" ", "\n") + "\n")
    found = [row["answer"] for row in rows(file(path="a.csv"))]
    assert (found, [type(one) for one in found]) == (values, [type(one) for one in values])


def test_a_csv_field_may_be_of_many_megabytes(tmp_path):
    """The tests of a programming problem, say."""
    write(tmp_path / "a.csv", f"a,b\n1,{'x' * 3_000_000}\n2,y\n")
    assert [len(row["b"]) for row in rows(file(path="a.csv"))] == [3_000_000, 1]


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(UsageError, match="a.jsonl is a pipe or a device"):
        file(path="a.jsonl")


def test_format_overrides_the_suffix(tmp_path):
    write(tmp_path / "data.txt", JSONL)
    assert file(path="data.txt", format="jsonl") == ROWS


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "x", r"suffix '.txt'; give format, or use one of .jsonl"),
        ("a", "x", "suffix ''"),
        ("zero.jsonl", "", "zero.jsonl is empty"),
        ("blank.jsonl", "\n\n", "blank.jsonl has no rows"),
        ("cut.jsonl", JSONL + '{"problem": "x', r'line 3 \(\{"problem": "x\) is no row: Untermin'),
        ("list.jsonl", JSONL + "[1, 2]\n", r"line 3 \(\[1, 2\]\) is no row: it is no JSON object"),
        ("bytes.jsonl", b'{"a": "\xff"}\n', "line 1 .* can't decode byte 0xff"),
        ("deep.jsonl", "[" * 100_000, r"line 1 \(\[\[\["),
        ("none.json", "[]", "none.json has no rows"),
        ("object.json", '{"data": []}', "is a JSON dict, not a list of objects"),
        ("lines.json", JSONL, "is not JSON: .*; for one object per line give format: jsonl"),
        ("items.json", '[{"a": 1}, "x"]', r"item 1 \(x\) is no row"),
        ("text.jsonl.gz", JSONL, "is not a whole gzip file"),
        ("cut.jsonl.gz", packed(JSONL * 999)[:80], "is not a whole gzip file"),
        ("text.csv.gz", CSV, "cannot read text.csv.gz"),
        ("ragged.csv", "a,b\n1,2\n3\n", r"row 3 \(3\): 1 columns instead of 2"),
        ("twice.csv", "a,a\n1,2\n", "has column 'a' twice"),
        ("header.csv", "a,b\n", "header.csv has no rows"),
        ("bytes.csv", b"a,b\n1,\xff\n", r"Row #2: .* invalid UTF8 data"),
        ("text.parquet", JSONL, "text.parquet is not a Parquet file"),
        ("cut.parquet", parquet()[:-9], "cut.parquet is not a Parquet file"),
    ],
)
def test_a_bad_file_is_one_line_that_says_why(tmp_path, name, content, said):
    write(tmp_path / name, content)
    with pytest.raises(UsageError, match=said) as error:
        file(path=name)
    assert name in str(error.value)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_absent_file_and_folder(tmp_path):
    with pytest.raises(UsageError, match=r"no such file: nope.jsonl \(looked in"):
        file(path="nope.jsonl")
    with pytest.raises(UsageError, match="is a folder; name a file in it, or give it to hub as id"):
        file(path=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "first"),
    [
        ("a.jsonl", "oops\n" + JSONL + "[1]\n", "line 1 (oops): Expecting value at character 1"),
        ("a.json", json.dumps(["oops", *ROWS, 1]), "item 0 (oops): it is no JSON object"),
        ("a.csv", CSV + "1\n1,2,3\n", "row 4 (1): 1 columns instead of 2"),
    ],
)
def test_skip_leaves_bad_rows_out_and_counts_them(tmp_path, caplog, name, content, first):
    write(tmp_path / name, content)
    with caplog.at_level(logging.WARNING):
        assert rows(file(path=name, on_error="skip")) == ROWS
    assert [record.getMessage() for record in caplog.records] == [
        f"{name}: skipped 2 bad rows; the first: {first}"
    ]


def test_nothing_left_after_skipping_is_an_error(tmp_path):
    write(tmp_path / "a.jsonl", "oops\n")
    with pytest.raises(UsageError, match="has no rows after 1 bad ones were skipped"):
        file(path="a.jsonl", on_error="skip")
