"""What is written is there whole or not at all: under kill -9 and on a full disk, for real."""

import errno
import resource
import signal
import subprocess
import sys
import time

import pytest

from r1cli import run
from r1cli.errors import ProviderError, UsageError


@pytest.mark.parametrize(
    "text", ["a\u2028b\u2029c\x85d\x0be\x0cf\x1cg", "\r\n\t\0", "日本 \U0001f600", "\ufeff", '"\\']
)
def test_any_text_survives_a_row(tmp_path, text):
    path = tmp_path / "deep" / "rows.jsonl"
    for number in range(2):
        run.append_row(path, {"n": number, "text": text})
    assert run.read_rows(path) == [{"n": 0, "text": text}, {"n": 1, "text": text}]


def test_half_a_character_is_replaced_not_fatal(tmp_path):
    run.append_row(tmp_path / "r", {"text": "a\ud800b"})
    assert run.read_rows(tmp_path / "r") == [{"text": "a?b"}]


def test_a_torn_line_is_left_out_and_takes_no_other_with_it(tmp_path):
    path = tmp_path / "rows.jsonl"
    run.append_row(path, {"n": 0})
    with path.open("a") as file:
        file.write('{"n": 1, "te')
    assert run.read_rows(path) == [{"n": 0}]
    run.append_row(path, {"n": 2})
    assert run.read_rows(path) == [{"n": 0}, {"n": 2}]


def test_rows_of_no_file(tmp_path):
    assert run.read_rows(tmp_path / "none") == []


def test_what_is_no_row_is_left_out(tmp_path):
    (tmp_path / "r").write_text('3\n[1]\nnull\n\n{"n": 1}\n')
    assert run.read_rows(tmp_path / "r") == [{"n": 1}]


def test_write_atomic_leaves_nothing_beside(tmp_path):
    path = tmp_path / "deep" / "file"
    for text in ("one", "two"):
        run.write_atomic(path, text)
    assert [p.name for p in path.parent.iterdir()] == ["file"] and path.read_text() == "two"


@pytest.mark.parametrize("write", [run.write_atomic, run.append_row])
def test_a_place_that_cannot_be_written(tmp_path, write):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "x", tmp_path / "folder", tmp_path / ("x" * 300)):
        with pytest.raises(UsageError, match=f"cannot write {tmp_path}"):
            write(path, "" if write is run.write_atomic else {})


WRITER = """
import sys
from pathlib import Path
from r1cli.files import append_row, write_atomic
folder, n = Path(sys.argv[1]), 0
print("ready", flush=True)
while True:
    n += 1
    write_atomic(folder / "file", f"{n}:" + "x" * 200_000 + f":{n}")
    append_row(folder / "rows", {"n": n, "text": "x" * 200_000, "end": n})
"""


def test_kill_9_leaves_old_or_new_but_never_half(tmp_path):
    whole = number = 0
    while whole < 14:
        number += 1
        assert number < 200, "none came to write a whole file"
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE
        )
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(0.004 * number)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        if (tmp_path / "file").exists():
            first, text, last = (tmp_path / "file").read_text().split(":")
            assert first == last and len(text) == 200_000
            whole += 1
        rows = run.read_rows(tmp_path / "rows")
        assert all(len(row["text"]) == 200_000 and row["end"] == row["n"] for row in rows)
        assert len({p.name for p in tmp_path.iterdir()}) <= 3  # nothing piles up
    run.append_row(tmp_path / "rows", {"n": -1})
    assert run.read_rows(tmp_path / "rows")[-1] == {"n": -1}
    run.write_atomic(tmp_path / "file", "")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "rows"]


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 256 kB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no small disk to fill: {error}")
    if done.returncode:
        pytest.skip(f"no small disk to fill, mounting needs root: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def small_files(tmp_path):
    """No file of this process may pass 64 kB; Python ignores the signal that goes with it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    yield tmp_path
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("limit", ["full_disk", "small_files"])
def test_a_full_disk_is_said_in_one_line_and_keeps_what_was_there(request, limit):
    place = request.getfixturevalue(limit)
    rows, file = place / "rows", place / "file"
    run.write_atomic(file, "old")
    written = 0
    said = f"no space left while writing {rows}; free some and run the same command again"
    with pytest.raises(ProviderError, match=said):
        for written in range(1000):
            run.append_row(rows, {"n": written, "text": "x" * 5000})
    assert [row["n"] for row in run.read_rows(rows)] == list(range(written))
    assert rows.read_bytes().endswith(b"\n")
    with pytest.raises(ProviderError, match=f"no space left while writing {file}"):
        run.write_atomic(file, "new" * 100_000)
    assert file.read_text() == "old"
    assert sorted(p.name for p in place.iterdir()) == ["file", "rows"]
    rows.unlink()
    run.append_row(rows, {"n": 0})


def test_another_error_of_the_disk_is_not_explained_away(tmp_path):
    with pytest.raises(OSError, match="I/O"), run.disk_errors(tmp_path):
        raise OSError(errno.EIO, "I/O error")
