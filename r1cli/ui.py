"""Tables, messages, progress and JSON: the only module of the core that draws.

Results go to stdout, narration to stderr. Everything listed can be had as JSON.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol


def say(message: str) -> None:
    """Narration, on stderr."""
    print(message, file=sys.stderr, flush=True)


def show(message: str) -> None:
    """A result, on stdout."""
    print(message, flush=True)


def show_json(data: Any) -> None:
    """Data as JSON, which has no NaN and no infinity: null."""
    finite = json.loads(json.dumps(data, default=str), parse_constant=lambda _: None)
    print(json.dumps(finite, indent=2, ensure_ascii=False))


def table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    title: str = "",
    as_json: bool = False,
    empty: str = "nothing to list",
) -> None:
    """Rows as a table on stdout, or as a JSON list."""
    if as_json:
        show_json([{column: row.get(column) for column in columns} for row in rows])
        return
    if not rows:
        say(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        drawn.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(_cell(row.get(column))) for column in columns))
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 160))
    console.print(drawn)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def show_yaml(text: str) -> None:
    """YAML, coloured on a terminal."""
    if not sys.stdout.isatty():
        print(text, end="" if text.endswith("\n") else "\n")
        return
    from rich.console import Console
    from rich.syntax import Syntax

    Console().print(Syntax(text, "yaml", background_color="default"))


class Told(Protocol):
    """How far something is, and in a few words how fast it goes."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


@contextmanager
def progress(title: str) -> Iterator[Told]:
    """A bar on stderr that is told `(done, total)`; a line per tenth where there is no terminal."""
    if not sys.stderr.isatty():
        yield _tenths(title)
        return
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        *Progress.get_default_columns()[:3],
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    ) as bar:
        task = bar.add_task(title, total=None, note="")
        yield lambda done, total, note="": bar.update(task, completed=done, total=total, note=note)


def _tenths(title: str) -> Told:
    said = -1

    def update(done: int, total: int, note: str = "") -> None:
        nonlocal said
        tenth = 10 * done // max(total, 1)
        if tenth > said:
            said = tenth
            say(f"{title}: {done}/{total}" + (f", {note}" if note else ""))

    return update


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def with_interval(mean: float, low: float, high: float) -> str:
    """`61.2 [56.0, 66.1]`, in per cent."""
    return f"{percent(mean)} [{percent(low)}, {percent(high)}]"


class _Narrator(logging.Handler):
    """Our own log lines as plain narration."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        say(prefix + record.getMessage())


def narrate(names: Sequence[str] = ("r1cli",)) -> None:
    """Show what our loggers say, from INFO on."""
    for name in names:
        logger = logging.getLogger(name)
        if not any(isinstance(handler, _Narrator) for handler in logger.handlers):
            logger.addHandler(_Narrator())
        logger.setLevel(logging.INFO)
