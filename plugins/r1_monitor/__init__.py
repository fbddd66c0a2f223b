"""Watching a run: a live console view, and a report that a person would rather look at."""

from __future__ import annotations

from pathlib import Path

from r1cli import Register, Run, hookimpl


@hookimpl
def register_callbacks(register: Register) -> None:
    register("console", "r1_monitor.console:console", help="live progress, rewards, length, ETA")
