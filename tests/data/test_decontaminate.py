"""`r1 data decontaminate`: rows in, rows, flags and a report out."""

import json
import multiprocessing
import operator
import re
import time
from pathlib import Path

import pytest

pytest.importorskip("datasets", reason="benchmarks are datasets.Dataset objects")

from r1cli import parallel
from r1cli.data import decontaminate as module
from r1cli.data.decontaminate import Item, Tally, decontaminate
from r1cli.data.ngrams import Index
from r1cli.data.normalisation import LEVELS
from r1cli.errors import ProviderError
from r1cli.parallel import in_order, processes

HELD = "Find the remainder when the number of ways is divided by 1000 <in all>"
ROWS = [
    {"problem": "What is 2 + 2?", "id": 1},
    {"problem": f"Please: {HELD.upper()}", "id": 2},
    {"problem": "what is  2 + 2?", "id": 3},
    {"problem": None, "id": 4},
]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("rows.jsonl", ROWS)
    write("aime.jsonl", [{"problem": "Some other problem of the same kind"}, {"problem": HELD}])
    return tmp_path


def write(name, rows):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def read(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def run(r1, *args):
    answer = r1("data", "decontaminate", "rows.jsonl", "--workers", 1, *args)
    assert answer.exit_code == 0, answer.stderr
    return answer


def test_removed_rows_are_those_with_a_hit_and_the_rest_are_as_they_were(files, r1):
    answer = run(r1, "--against-data", "aime24=aime.jsonl", "--out", "clean.jsonl", "--json")
    assert read(files / "clean.jsonl") == [ROWS[0], ROWS[2], ROWS[3]]
    said = json.loads(answer.stdout)
    assert [said[key] for key in ("rows", "rows_hit", "kept", "no_text")] == [4, 1, 3, 1]
    assert said["contaminated"] == [
        {"benchmark": "aime24", "items": 2, "rows_hit": 1, "share": 0.25}
    ]


def test_flags_stand_beside_the_columns_of_every_row(files, r1):
    write("mine.jsonl", [{"question": "What is 2 + 2?"}])
    given = ("--against-data", "aime24=aime.jsonl", "--against-file", "mine.jsonl", "--dedup")
    run(r1, *given, "--mode", "flag", "--normalise", "robust", "--out", "flagged.parquet")
    from pyarrow import parquet

    rows = parquet.read_table("flagged.parquet").to_pylist()
    assert [row["contaminated_aime24"] for row in rows] == [False, True, False, False]
    assert [row["contaminated_mine"] for row in rows] == [True, False, True, False]
    assert [row["duplicate"] for row in rows] == [False, False, True, False]
    assert [{k: row[k] for k in ("problem", "id")} for row in rows] == ROWS


def test_the_report_shows_item_and_ngram_of_each_hit(files, r1):
    run(r1, "--against-data", "aime24=aime.jsonl", "--report", "report")
    [hit] = read(files / "report" / "hits.jsonl")
    assert (hit["row"], hit["benchmark"], hit["item_count"]) == (2, "aime24", 1)
    [item] = hit["items"]
    assert (item["item"], item["text"], item["shared"]) == (2, HELD, 7)
    assert item["ngram"] == "find the remainder when the number of ways"
    report = json.loads((files / "report" / "report.json").read_text())
    assert report["contaminated"] == {"aime24": 1}
    page = (files / "report" / "report.html").read_text("utf-8")
    assert "<mark>Find the remainder when the number of ways</mark>" in page
    assert "&lt;IN ALL&gt;" in page
    assert not re.search(r"https?:|src=|href=", page)


def test_every_number_of_processes_gives_the_same(monkeypatch):
    monkeypatch.setattr(parallel, "PAYS_AFTER", 0.0)
    monkeypatch.setattr(module, "BATCH", 7)
    rows = [{"problem": f"{HELD} {i}" if i % 3 == 0 else f"number {i}"} for i in range(100)]
    items = [Item("a", 1, HELD), Item("b", 1, HELD + " and more")]
    index = Index([item.text for item in items], 8, LEVELS["open-r1"])

    def kept(workers):
        tally, hits = Tally({"a": 0, "b": 0}), []
        given = {"column": "problem", "mode": "remove", "tally": tally, "found": hits.append}
        return (
            list(decontaminate(rows, items, index, workers=processes(workers), **given)),
            tally,
            hits,
        )

    assert kept(1) == kept(2)
    assert len(kept(1)[0]) == 66


def test_a_killed_worker_is_said_in_one_line(monkeypatch):
    monkeypatch.setattr(parallel, "PAYS_AFTER", 0.0)

    def batches():
        for number in range(600):  # it takes a moment until the others are told
            yield [number]
            time.sleep(0.05)
            if number == 5:
                for child in multiprocessing.active_children():
                    child.kill()
                    child.join()

    with pytest.raises(ProviderError, match="worker process was killed.*--workers"):
        list(in_order(operator.add, [1], batches(), send=list, workers=processes(2)))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "give --against NAME or --against-file FILE"),
        (("--against", "aime42"), "no benchmark 'aime42'.*did you mean 'aime2"),
        (("--against-data", "aime24"), "'aime24' is not of the form NAME=FILE"),
        (("--against-data", "aime24=none.jsonl"), "no file none.jsonl"),
        (
            ("--against-data", "aime24=aime.jsonl", "--against-data", "aime24=rows.jsonl"),
            "'aime24=rows.jsonl': there is aime.jsonl for 'aime24' already",
        ),
        (
            ("--against-file", "aime.jsonl", "--out", "r/hits.jsonl", "--report", "./r"),
            "--out r/hits.jsonl is where --report r has its hits",
        ),
        (("--against-file", "aime.jsonl", "--prompt-column", "prblem"), "did you mean 'problem'"),
        (("--against-file", "aime.jsonl", "--out", "rows.jsonl"), "is what is read"),
        (("--against-file", "aime.jsonl", "--out", "rows.txt"), "rows are written as .jsonl"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(files, r1, args, said):
    answer = r1("data", "decontaminate", "rows.jsonl", *args)
    assert answer.exit_code == 2
    assert re.search(said, answer.stderr)
    assert sorted(path.name for path in files.iterdir()) == ["aime.jsonl", "rows.jsonl"]


def test_a_file_to_look_in_without_problems_says_what_to_rename(files, r1):
    Path("exam.jsonl").write_text('{"exercise": "1 + 1"}\n')
    answer = r1("data", "decontaminate", "rows.jsonl", "--against-file", "exam.jsonl")
    assert answer.exit_code == 2
    assert "exam.jsonl, which has exercise; call the one with the problems `problem`" in (
        answer.stderr
    )


@pytest.mark.parametrize(
    "given",
    [
        ("--against-file", "aime.jsonl", "--out", "aime.jsonl"),
        ("--against-data", "aime24=aime.jsonl", "--out", "aime.jsonl"),
        ("--against-file", "aime.jsonl", "--report", "."),
    ],
)
def test_what_is_read_is_never_written_over(files, r1, given):
    Path("hits.jsonl").write_bytes(Path("rows.jsonl").read_bytes())
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    answer = r1("data", "decontaminate", "hits.jsonl", *given)
    assert answer.exit_code == 2
    assert "is what is read" in answer.stderr
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before


@pytest.mark.parametrize("level", ["open-r1", "robust"])
def test_duplicates_ask_the_same_with_the_same_signs(files, r1, level):
    """Not what `robust` makes of them, which has neither signs nor brackets."""
    texts = ["What is 7 - 2?", "What is 7 + 2?", None, "", "what is  7 + 2?", "+", "-"]
    write("rows.jsonl", [{"problem": text} for text in texts])
    given = ("--against-file", "aime.jsonl", "--normalise", level, "--dedup")
    run(r1, *given, "--out", "clean.jsonl")
    kept = [row["problem"] for row in read(files / "clean.jsonl")]
    assert kept == [*texts[:4], *texts[5:]]


def test_a_benchmark_row_without_text_is_said(files, r1, caplog):
    write("exam.jsonl", [{"problem": HELD}, {"question": "What is 2 + 2?"}])
    run(r1, "--against-file", "exam.jsonl")
    assert "benchmark exam: 1 of 2 rows have no text in 'problem'" in caplog.text


def test_a_report_that_breaks_off_leaves_the_hits_of_before(files, r1):
    run(r1, "--against-file", "aime.jsonl", "--report", "report")
    before = (files / "report" / "hits.jsonl").read_bytes()
    with (files / "rows.jsonl").open("a") as file:
        file.write('{"problem": \n')
    given = ("--against-file", "aime.jsonl", "--report", "report")
    assert r1("data", "decontaminate", "rows.jsonl", *given).exit_code == 2
    assert before and (files / "report" / "hits.jsonl").read_bytes() == before


def test_the_report_may_be_the_current_folder(files, r1):
    run(r1, "--against-file", "aime.jsonl", "--report", ".")
    assert len(read(files / "hits.jsonl")) == 1


def test_two_benchmarks_of_one_name_are_refused(files, r1):
    (files / "old").mkdir()
    write("old/aime.jsonl", [{"problem": HELD}])
    given = ("--against-file", "aime.jsonl", "--against-file", "old/aime.jsonl")
    answer = r1("data", "decontaminate", "rows.jsonl", *given)
    assert answer.exit_code == 2
    assert "--against-file old/aime.jsonl: a benchmark 'aime' is there already" in answer.stderr


def test_parquet_keeps_its_types(files, r1):
    import pyarrow as pa
    from pyarrow import parquet

    columns = {"problem": [HELD, "b"], "n": pa.array([2**64 - 1, None], pa.uint64())}
    parquet.write_table(pa.table(columns), "typed.parquet")
    given = ("--against-file", "aime.jsonl", "--mode", "flag", "--out", "out.parquet")
    assert r1("data", "decontaminate", "typed.parquet", *given).exit_code == 0
    made = parquet.read_table("out.parquet")
    assert made.drop_columns("contaminated_aime").equals(pa.table(columns))


def test_a_benchmark_of_the_hub_can_be_given_as_a_file(files, r1):
    answer = r1(
        "data", "decontaminate", "rows.jsonl", "--against", "aime24", env={"HF_HUB_OFFLINE": "1"}
    )
    assert answer.exit_code == 5
    assert "--against-data aime24=FILE" in answer.stderr


def test_a_broken_line_stops_or_is_counted(files, r1):
    with (files / "rows.jsonl").open("a") as file:
        file.write('{"problem": \n')
    answer = r1("data", "decontaminate", "rows.jsonl", "--against-file", "aime.jsonl")
    assert answer.exit_code == 2
    assert 'line 5 ({"problem":) is no row' in answer.stderr
    answer = run(r1, "--against-file", "aime.jsonl", "--on-error", "skip", "--json")
    assert json.loads(answer.stdout)["skipped"] == 1
