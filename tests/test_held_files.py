"""What a killed writer left beside its file is cleared; what a living one writes is not."""

import subprocess
import sys

import pytest

from r1cli.held_files import beside

HOLDS = """
import sys, time
from pathlib import Path
from r1cli.held_files import beside
with beside(Path(sys.argv[1])) as folder:
    (folder / "rows").write_text("half of i")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def writer(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path / "o[ut].jsonl")],
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_it_is_gone_at_the_end_and_what_took_the_place_is_there(tmp_path):
    out = tmp_path / "out.jsonl"
    with beside(out) as folder:
        (folder / "rows").write_text("all")
        (folder / "rows").replace(out)
    assert out.read_text() == "all"
    assert names(tmp_path) == ["out.jsonl"]


def test_it_is_gone_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), beside(tmp_path / "out.jsonl"):
        raise ZeroDivisionError
    assert not names(tmp_path)


def test_what_a_killed_writer_left_is_cleared_by_the_next(writer, tmp_path):
    writer.kill()
    writer.wait()
    [left] = names(tmp_path)
    with beside(tmp_path / "another.jsonl"):
        pass
    assert names(tmp_path) == [left]
    with beside(tmp_path / "o[ut].jsonl"):
        assert left not in names(tmp_path)


def test_another_thing_of_such_a_name_is_left_alone(tmp_path):
    (tmp_path / ".out.jsonl.another.partial").write_text("a file")
    with beside(tmp_path / "out.jsonl"):
        pass
    assert names(tmp_path) == [".out.jsonl.another.partial"]


def test_what_a_living_writer_has_is_left_alone(writer, tmp_path):
    [theirs] = names(tmp_path)
    with beside(tmp_path / "o[ut].jsonl"):
        pass
    assert names(tmp_path) == [theirs]
    assert (tmp_path / theirs / "rows").read_text() == "half of i"
