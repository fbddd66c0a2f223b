"""The report of a decontamination: what stands on the page, whatever stands in the rows."""

import json

import pytest

pytest.importorskip("datasets")

ITEM = "one two three <b>four</b> five six seven eight"
ROWS = [
    {"problem": f"<script>alert(1)</script> {ITEM.upper()}"},
    {"problem": f"half a character \ud800 {ITEM}"},
    {"problem": "nothing to see"},
]


def test_the_page_shows_texts_and_never_runs_them(r1, tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "<script>.jsonl").write_text(json.dumps({"problem": ITEM}) + "\n")
    given = ("--against-file", "<script>.jsonl", "--workers", 1, "--report", "report")
    answer = r1("data", "decontaminate", "rows.jsonl", *given, "--out", "clean.jsonl")
    assert answer.exit_code == 0, answer.stderr
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "<script>" not in page and "<b>" not in page
    marked = "one two three &lt;b&gt;four&lt;/b&gt; five six seven eight"
    assert (
        page.count(f"<mark>{marked}</mark>") == 3
    )  # two items and the row that is not in capitals
    assert f"<mark>{marked.upper().replace('&LT;', '&lt;').replace('&GT;', '&gt;')}</mark>" in page
    hits = [json.loads(line) for line in (tmp_path / "report" / "hits.jsonl").open("rb")]
    assert [hit["row"] for hit in hits] == [1, 2]
    assert hits[1]["text"].startswith("half a character ? one")
