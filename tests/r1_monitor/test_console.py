"""The console on a real terminal (a pty) and off one, driven as a trainer drives it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import sys
import threading

import pytest

pytest.importorskip("transformers")

import r1_monitor
from r1_monitor.console import console
from r1cli import UsageError

from .conftest import grpo_row, sft_row

SHOW, HIDE = "\x1b[?25h", "\x1b[?25l"


class Terminal:
    """A pty in the place of stderr."""

    def __init__(self) -> None:
        self._leader, follower = pty.openpty()
        self.file = os.fdopen(follower, "w", encoding="utf-8")
        self._drawn = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        # Reading a pty fails, on Linux, when its other end is closed.
        with contextlib.suppress(OSError):
            while data := os.read(self._leader, 65536):
                self._drawn.extend(data)

    def close(self) -> str:
        """End it and return all that was written to it."""
        self.file.close()
        self._reader.join(5)
        os.close(self._leader)
        return self._drawn.decode()


@pytest.fixture
def terminal(monkeypatch):
    """A function that puts a terminal in the place of stderr; pytest sets its own before a test."""

    def start() -> Terminal:
        opened = Terminal()
        monkeypatch.setattr(sys, "stderr", opened.file)
        return opened

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "30")
    return start


def text(drawn: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)


def rows(count, row=grpo_row):
    return [row(step, count) for step in range(1, count + 1)]


def test_plain_lines_say_what_happened(make_run, drive, capsys):
    drive(console(make_run("grpo", steps=0)), rows(5))
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 5
    assert lines[0].startswith("grpo 1/5  reward ")
    assert (
        "accuracy 0.300  format 0.500  length 23.0  truncated 2.0%  zero variance 25%" in lines[0]
    )
    assert "tokens/s" in lines[-1]
    assert "to go" in lines[0] and "to go" not in lines[-1]
    assert "\x1b" not in err


@pytest.mark.parametrize("count", [1, 59, 61, 1000, 4321])
def test_plain_lines_thin_out_and_keep_both_ends(count, make_run, drive, capsys):
    drive(console(make_run("grpo", steps=0)), rows(count))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 60
    assert len(lines) >= min(count, 50)
    assert f" 1/{count} " in lines[0]
    assert f" {count}/{count} " in lines[-1]


def test_every_spaces_the_lines(make_run, drive, capsys):
    drive(console(make_run("grpo", steps=0), every=10), rows(25))
    steps = [int(line.split()[1].split("/")[0]) for line in capsys.readouterr().err.splitlines()]
    assert steps == [1, 11, 21, 25]
    with pytest.raises(UsageError, match="every = 0"):
        console(make_run("grpo", steps=0), every=0)


def test_sft_and_sparse_logs_do_not_crash(make_run, drive, capsys):
    run = make_run("sft", steps=0)
    odd = [
        {"step": 1},
        {"step": 2, "loss": "0.5"},
        {"step": 3, "loss": float("nan"), "num_tokens": None},
        {"step": 4, "eval_loss": 1.0},
    ]
    drive(console(run), [*odd, *rows(9, sft_row)[4:]])
    err = capsys.readouterr().err
    assert "loss nan" in err
    assert "sft 9/9  loss 0.1494  token accuracy 90.0%" in err
    assert "reward" not in err


def test_only_the_main_process_speaks(make_run, drive, capsys):
    drive(console(make_run("grpo", steps=0)), rows(3), main=False)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_panel_and_its_cursor_back(make_run, drive, terminal, monkeypatch):
    monkeypatch.setattr("r1_monitor.screen.REDRAW_SECONDS", 0)
    opened = terminal()
    drive(console(make_run("grpo", steps=0)), rows(30), on_step=lambda step: print("a log line"))
    drawn = opened.close()
    assert HIDE in drawn and drawn.rindex(SHOW) > drawn.rindex(HIDE)
    last = text(drawn)[-1500:]
    for part in ("30/30", "accuracy", "format", "length", "truncated", "tokens/s", "▁", "█"):
        assert part in last
    assert "to go" in last


def test_a_crash_or_an_interrupt_gives_the_terminal_back(make_run, drive, terminal):
    run, opened = make_run("grpo", steps=0), terminal()
    stdout, stderr = sys.stdout, sys.stderr

    def interrupt(step: int) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        drive(console(run), rows(30), on_step=interrupt)
    r1_monitor.run_finished(run, caught.value)
    assert (sys.stdout, sys.stderr) == (stdout, stderr)
    drawn = opened.close()
    assert drawn.rindex(SHOW) > drawn.rindex(HIDE)


def test_an_interrupted_plain_run_says_its_last_step(make_run, drive, capsys):
    run = make_run("grpo", steps=0)
    drive(console(run), rows(333), max_steps=1000, end=False)
    r1_monitor.run_finished(run, KeyboardInterrupt())
    assert " 333/1000 " in capsys.readouterr().err.splitlines()[-1]
