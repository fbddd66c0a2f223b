import fcntl
import json
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("numpy", reason="the index is an array")

from r1cli.errors import ProviderError, UsageError
from r1cli.records import Attempt, Judgement, Store, attempt_key, canonical, matching
from r1cli.records import places as places_module
from r1cli.records.sweep import sweep
from r1cli.types import Outcome, Sampling

SAMPLING = canonical(Sampling(temperature=0.6, n=4))


def attempt(prompt: str = "p", index: int = 0, text: str = "four", **changes: object) -> Attempt:
    made = Attempt(
        problem=f"problem-{prompt}",
        prompt=prompt,
        messages=[{"role": "user", "content": prompt}],
        model="m-key",
        model_name="m",
        revision="",
        engine="fake",
        sampler="s",
        sampling=SAMPLING,
        index=index,
        text=text,
        tokens=3,
    )
    return replace(made, **changes)


KEY = attempt().key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "records"


def shards(folder: Path) -> list[Path]:
    return sorted((folder / "attempts").glob("*.jsonl"))


def test_what_is_stored_is_found_by_what_was_asked(folder):
    one = attempt(index=1, prefill="<th", text="<think>é\u2028\ud800", usage={"prompt_tokens": 2})
    with Store(folder) as store:
        store.append([one, attempt(index=0), attempt("q")])
        assert store.indices(KEY) == [0, 1]
        assert store.missing(KEY, range(4)) == [2, 3]
    with Store(folder) as again:
        found = again.find(attempt_key("p", "s", Sampling(temperature=0.6, n=9)))
        assert [a.index for a in found] == [0, 1]
        assert found[0] == attempt(created=found[0].created)
        assert found[1].text == "<think>é\u2028?" and found[1].completion.prefill == "<th"
        assert again.find("0" * 32) == []


def test_greedy_samples_are_one_whatever_the_rest_says():
    greedy = [Sampling(temperature=0, top_p=p, seed=s) for p, s in ((0.9, 1), (1.0, 2))]
    assert len({attempt_key("p", "s", one) for one in greedy}) == 1
    warm = [Sampling(temperature=1, seed=seed) for seed in (1, 2)]
    assert len({attempt_key("p", "s", one) for one in warm}) == 2


def test_an_attempt_is_judged_again_and_the_latest_word_of_each_spec_counts(folder):
    one = attempt()
    with Store(folder) as store:
        store.append([replace(one, rewards=(Judgement.of(one, "r", "a", Outcome("failed")),))])
        store.judge([Judgement.of(one, "r", "a", Outcome("score", 1.0))])
        store.judge([Judgement.of(one, "r", "b", Outcome("not_applicable"))])
    with Store(folder) as store:
        [found] = store.find(KEY)
    assert found.outcome("r", "a") == Outcome("score", 1.0)
    assert found.outcome("r") == Outcome("not_applicable")
    assert found.outcome("r", "c") is found.outcome("other") is None


def test_the_same_attempt_twice_counts_once(folder):
    with Store(folder) as first, Store(folder) as second:
        first.append([attempt(text="first")])
        second.append([attempt(text="second"), attempt(index=1)])
        first.refresh()
        assert [a.index for a in first.find(KEY)] == [0, 1]
        assert first.indices(KEY) == [0, 1]
    with Store(folder) as store:
        assert len(list(store.scan())) == 2


def test_what_came_first_counts_for_all_whichever_file_was_begun_first(folder):
    with Store(folder) as early, Store(folder) as late:
        early.append([attempt("q", created=1.0)])
        late.append([attempt(text="first", created=2.0)])
        early.append([attempt(text="second", created=3.0)])
        for store in (early, late):
            store.refresh()
            assert [a.text for a in store.find(KEY)] == ["first"]
            assert {a.prompt: a.text for a in store.scan()} == {"q": "four", "p": "first"}
    assert sweep(folder).repeats == 1
    with Store(folder) as swept:
        assert {a.prompt: a.text for a in swept.scan()} == {"q": "four", "p": "first"}


def test_many_rows_are_sorted_in_and_all_found(folder, monkeypatch):
    monkeypatch.setattr(places_module, "FRESH", 7)
    with Store(folder) as store:
        for number in range(100):
            store.append([attempt(f"p{number}", index=i) for i in range(3)])
        keys = [attempt(f"p{number}").key for number in range(100)]
        assert all(store.indices(key) == [0, 1, 2] for key in keys)
        assert len(store) == 300
        order = [(a.prompt, a.index) for a in store.scan()]
    assert order == [(f"p{number}", i) for number in range(100) for i in range(3)]


@pytest.mark.parametrize("cut", [1, 40])
def test_a_torn_tail_is_left_out_and_nothing_else(folder, cut):
    with Store(folder) as store:
        store.append([attempt(index=0)])
        store.append([attempt(index=1)])
    [path] = shards(folder)
    path.write_bytes(path.read_bytes()[:-cut])
    with Store(folder) as store:
        assert store.missing(KEY, range(2)) == [1]
        store.append([attempt(index=1, text="again")])
        assert [a.text for a in store.find(KEY)] == ["four", "again"]


@pytest.mark.parametrize("left", [0, 40])
def test_an_index_that_is_gone_or_short_is_made_up_for(folder, left):
    with Store(folder) as store:
        store.append([attempt(index=0), attempt(index=1)])
        store.append([attempt(index=2)])
    index = shards(folder)[0].with_suffix(".index")
    index.write_bytes(index.read_bytes()[:left])
    with Store(folder) as store:
        assert store.indices(KEY) == [0, 1, 2] and len(store.find(KEY)) == 3


def _write_until_killed(folder: Path, number: int, ready) -> None:
    store = Store(folder)
    for count in range(10**9):
        store.append([attempt(f"{number}-{count}", i, text="x" * 2000) for i in range(3)])
        if count == 20:
            ready.set()


def test_writers_that_are_killed_lose_nothing_they_wrote(folder):
    context = multiprocessing.get_context("fork")
    ready = [context.Event() for _ in range(3)]
    writers = [
        context.Process(target=_write_until_killed, args=(folder, n, event), daemon=True)
        for n, event in enumerate(ready)
    ]
    for writer in writers:
        writer.start()
    for event in ready:
        assert event.wait(240)
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    with Store(folder) as store:
        for number in range(3):
            for count in range(20):
                key = attempt(f"{number}-{count}").key
                assert [a.text for a in store.find(key)] == ["x" * 2000] * 3
        assert all(a.text == "x" * 2000 for a in store.scan())


def test_a_full_disk_ends_in_a_line_and_keeps_what_was_there(folder, monkeypatch):
    from r1cli.records import shard

    real = os.write
    with Store(folder) as store:
        store.append([attempt(index=0)])
        monkeypatch.setattr(shard.os, "write", lambda handle, data: real(handle, data[:10]))
        with pytest.raises(ProviderError, match="no space left while writing"):
            store.append([attempt(index=1)])
        monkeypatch.undo()
        store.append([attempt(index=2)])
        assert store.indices(KEY) == [0, 2]
    with Store(folder) as store:
        assert [a.index for a in store.find(KEY)] == [0, 2]


def _begin(folder: Path, number: int, together) -> None:
    together.wait()
    with Store(folder) as store:
        store.append([attempt(index=number)])


def test_many_may_begin_a_store_at_a_time(tmp_path):
    context = multiprocessing.get_context("fork")
    for turn in range(5):
        folder, together = tmp_path / str(turn), context.Barrier(8)
        begun = [context.Process(target=_begin, args=(folder, n, together)) for n in range(8)]
        for one in begun:
            one.start()
        for one in begun:
            one.join()
        with Store(folder) as store:
            assert store.indices(KEY) == list(range(8))
        assert {path.name for path in folder.iterdir()} == {"store.json", "attempts"}


def test_a_mark_that_a_killed_process_began_is_no_strange_file(folder):
    (folder / ".store.json.1-ab.partial").mkdir(parents=True)
    with Store(folder) as store:
        store.append([attempt()])


def test_an_index_that_does_not_fit_its_shard_is_made_up_for(folder):
    with Store(folder) as store:
        store.append([attempt(index=index, text="x" * index) for index in range(4)])
    [path] = shards(folder)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))  # somebody took one out
    with Store(folder) as store:
        assert [(a.index, a.text) for a in store.find(KEY)] == [(0, ""), (2, "xx"), (3, "xxx")]
        assert store.missing(KEY, range(4)) == [1]


def test_a_judgement_goes_with_the_text_that_was_judged(folder):
    """Two processes drew one index at a time: which text counts is for the files to say."""
    drawn = [attempt(text=text) for text in ("right", "wrong")]
    for one, value in zip(drawn, (1.0, 0.0), strict=True):
        with Store(folder) as store:
            store.append(
                [replace(one, rewards=(Judgement.of(one, "r", "s", Outcome("score", value)),))]
            )
    with Store(folder) as store:
        [found] = store.find(KEY)
        assert (found.text, found.outcome("r", "s")) == ("right", Outcome("score", 1.0))
        assert [a.outcome("r") for a in store.scan()] == [Outcome("score", 1.0)]


def test_a_newer_store_is_refused(folder):
    with Store(folder) as store:
        store.append([attempt()])
    (folder / "store.json").write_text('{"version": 2}')
    with pytest.raises(UsageError, match=r"newer r1 \(format 2, this one reads 1\); upgrade"):
        Store(folder)


@pytest.mark.parametrize("mark", ["[]", "{", '{"version": "x"}'])
def test_a_broken_mark_is_said(folder, mark):
    folder.mkdir()
    (folder / "store.json").write_text(mark)
    with pytest.raises(UsageError):
        Store(folder)


def test_a_folder_of_something_else_is_left_alone(folder):
    folder.mkdir()
    (folder / "diary.txt").write_text("Dear diary")
    with pytest.raises(UsageError, match=r"holds diary\.txt and is no attempt store"):
        Store(folder)
    assert [path.name for path in folder.iterdir()] == ["diary.txt"]


def test_a_sweep_merges_drops_and_leaves_live_shards_alone(folder):
    for index in (0, 1, 0):
        with Store(folder) as store:
            one = attempt(index=index)
            store.append([replace(one, rewards=(Judgement.of(one, "r", "", Outcome("score", 1)),))])
    with Store(folder) as live:
        live.append([attempt("live")])
        swept = sweep(folder)
        assert (swept.files_before, swept.files, swept.repeats) == (7, 3, 2)
        live.append([attempt("live", 1)])
        with Store(folder) as store:
            assert [a.outcome("r").value for a in store.find(KEY)] == [1, 1]
            assert store.indices(attempt("live").key) == [0, 1]
    assert sweep(folder, matching(problem="problem-p")).dropped == 2
    with Store(folder) as store:
        assert {a.prompt for a in store.scan()} == {"live"}
    assert list((folder / "rewards").glob("*.jsonl")) == []


def test_a_writer_that_begins_while_a_sweep_runs_loses_nothing(folder, monkeypatch):
    real, swept = fcntl.flock, []

    def flock(handle: int, how: int) -> None:
        if how == fcntl.LOCK_EX and not swept:  # the new shard is there and not held yet
            swept.append(None)
            swept[0] = sweep(folder)
        real(handle, how)

    with Store(folder) as store:
        store.append([attempt(index=0)])
    with Store(folder) as store:
        monkeypatch.setattr(fcntl, "flock", flock)
        store.append([attempt(index=1)])
        monkeypatch.undo()
    assert swept[0].files_before == 2
    with Store(folder) as store:
        assert store.indices(KEY) == [0, 1]


def test_a_reader_finds_what_was_merged_away_under_it(folder):
    for index in range(2):
        with Store(folder) as store:
            store.append([attempt(index=index)])
    with Store(folder) as reader:
        scan = reader.scan()
        next(scan)
        sweep(folder)
        assert [a.index for a in reader.find(KEY)] == [0, 1]
        with pytest.raises(UsageError, match="was merged away by r1 records gc meanwhile"):
            list(scan)


def _work(folder: Path, number: int) -> None:
    for index in range(20):
        with Store(folder) as store:
            store.append([attempt(str(number), index)])


def _sweep_on(folder: Path) -> None:
    while True:
        sweep(folder)


def test_sweeps_and_writers_do_not_disturb_each_other(folder):
    with Store(folder) as store:
        store.append([attempt()])
    context = multiprocessing.get_context("fork")
    sweeps = [context.Process(target=_sweep_on, args=(folder,), daemon=True) for _ in range(2)]
    writers = [context.Process(target=_work, args=(folder, n)) for n in range(2)]
    for process in (*sweeps, *writers):
        process.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert all(process.is_alive() for process in sweeps)
    for process in sweeps:
        process.kill()
        process.join()
    with Store(folder) as store:
        for number in range(2):
            assert store.indices(attempt(str(number)).key) == list(range(20))
    sweep(folder)  # clears what the killed ones left
    assert {path.suffix for path in (folder / "attempts").iterdir()} == {".jsonl", ".index"}


def test_a_sweep_counts_as_dropped_what_went(folder):
    with Store(folder) as live:
        live.append([attempt()])
        assert sweep(folder, matching(problem="problem-p")).dropped == 0
    assert sweep(folder, matching(problem="problem-p")).dropped == 1


def test_the_name_of_a_model_is_not_taken_for_the_start_of_anothers_key(folder):
    with Store(folder) as store:
        other = attempt("q", model="abcdef", model_name="other")
        store.append([attempt(model="123456", model_name="a"), other])
        assert [a.prompt for a in store.scan(matching(model="a"))] == ["p"]
        assert [a.prompt for a in store.scan(matching(model="abcd"))] == ["q"]


def test_a_sweep_leaves_out_what_a_disk_has_spoilt(folder):
    with Store(folder) as store:
        store.append([attempt(index=index) for index in range(3)])
    (shard,) = shards(folder)
    text = bytearray(shard.read_bytes())
    text[len(text) // 2 - 20 : len(text) // 2 + 20] = bytes(40)
    shard.write_bytes(text)
    sweep(folder)
    with Store(folder) as store:
        assert store.indices(KEY) == [0, 2]


def test_lines_that_another_program_has_written_are_rows_or_are_said(folder, caplog):
    with Store(folder) as store:
        judged = Judgement.of(attempt(), "r", "", Outcome("score", 1.0))
        store.append([attempt(rewards=(judged,)), attempt(index=1), attempt(index=2)])
    for path in (*shards(folder), *(folder / "rewards").glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        rows[0]["note"] = "seen"
        if len(rows) > 1:
            del rows[2]["text"]
        path.write_bytes(b"".join(json.dumps(row).encode() + b"\r\n" for row in rows))
    for _ in range(2):
        with Store(folder) as store:
            assert [a.index for a in store.find(KEY)] == [0, 1]
            assert [a.outcome("r") for a in store.scan()] == [Outcome("score", 1.0), None]
        sweep(folder)
    assert caplog.text.count("1 lines are no whole rows; they go") == 1
    with Store(folder) as store:
        assert store.missing(KEY, range(3)) == [2]


def test_texts_and_conversations_are_exported_as_one_column(folder, r1, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    talk = [{"role": "user", "content": "p"}]
    with Store(folder) as store:
        store.append([attempt("p", messages="plain"), attempt("q", messages=talk)])
    answer = r1("records", "export", "--records", folder, "--out", tmp_path / "a.parquet")
    assert answer.exit_code == 0, answer.stderr
    found = parquet.read_table(tmp_path / "a.parquet")["messages"].to_pylist()
    assert found == [[{"role": "text", "content": "plain"}], talk]


def test_nothing_is_exported_into_the_store(folder, r1):
    """Where it would be taken for a shard, and swept away."""
    with Store(folder) as store:
        store.append([attempt("p")])
    out = folder / "attempts" / "mine.jsonl"
    answer = r1("records", "export", "--records", folder, "--out", out)
    assert answer.exit_code == 2 and "is in a folder that is read" in answer.stderr
    assert not out.exists()


def test_the_files_are_plain_json_lines_for_pandas_arrow_and_datasets(folder, tmp_path):
    pandas = pytest.importorskip("pandas")
    datasets = pytest.importorskip("datasets")
    from pyarrow import json as arrow_json

    for index in range(2):
        with Store(folder) as store:
            messages = [{"role": "user", "content": "p"}] if index else "plain"
            store.append([attempt(index=index, messages=messages, seconds=index / 3)])
    files = [str(path) for path in shards(folder)]
    assert pandas.read_json(files[0], lines=True)["text"].tolist() == ["four"]
    assert arrow_json.read_json(files[1])["index"].to_pylist() == [1]
    rows = datasets.load_dataset("json", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert sorted(rows["train"]["index"]) == [0, 1]
    with Store(folder) as store:
        assert store.find(KEY)[0].messages == "plain"
    assert json.loads((folder / "store.json").read_text()) == {"version": 1}
