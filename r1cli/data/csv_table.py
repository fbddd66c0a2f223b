"""A CSV file as a table: what is written as a number is one, all else is text."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from r1cli.errors import UsageError, one_line
from r1cli.extras import require

SHOWN = 80  # characters of a bad row in a message
LONGEST = 2**26  # bytes of a row


def csv_table(path: Path, on_error: Literal["stop", "skip"], skipped: list[str]) -> Any:
    """The file as a `pyarrow.Table`; what is skipped of it is noted in `skipped`.

    Raises UsageError with the number and the text of the first bad row unless those are skipped.
    """
    require("train", "pyarrow")
    from pyarrow import ArrowInvalid, csv, string

    def skip(row: Any) -> str:
        skipped.append(
            f"row {row.number} ({one_line(row.text, SHOWN)}): {row.actual_columns} columns "
            f"instead of {row.expected_columns}"
        )
        return "skip" if on_error == "skip" else "error"

    try:
        table = csv.read_csv(
            str(path),  # decompressed by suffix
            # One thread: only then does pyarrow know the number of a bad row.
            read_options=csv.ReadOptions(use_threads=False, block_size=LONGEST),
            parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            convert_options=csv.ConvertOptions(default_column_type=string()),
        )
    except ArrowInvalid as error:
        hint = "; fix it, or say on_error=skip" if skipped else ""
        why = skipped[0] if skipped else one_line(error)
        raise UsageError(f"{path} is not well-formed CSV: {why}{hint}") from error
    if doubled := sorted({n for n in table.column_names if table.column_names.count(n) > 1}):
        raise UsageError(f"{path} has column {doubled[0]!r} twice in its first row")
    for place, name in enumerate(table.column_names):
        table = table.set_column(place, name, _typed(table[name]))
    return table


def _typed(column: Any) -> Any:
    """Text as numbers or truth values where all are written as these are: `7`, but not `007`.

    An empty field is a missing number, and an empty text.
    """
    import pyarrow as pa
    from pyarrow import compute

    said = compute.if_else(compute.equal(column, ""), pa.scalar(None, pa.string()), column)
    if said.null_count == len(said):
        return pa.nulls(len(said))
    for kind in (pa.int64(), pa.float64(), pa.bool_()):
        try:
            typed = said.cast(kind)
        except pa.ArrowInvalid:
            continue
        if all(map(_is_written, typed.to_pylist(), said.to_pylist())):
            return typed
    return column


def _is_written(value: object, text: str | None) -> bool:
    """Whether the text says the value as Python or JSON write it: `1.0` or `1`, `True`, `true`."""
    return text is None or text.lower().removesuffix(".0") == str(value).lower().removesuffix(".0")
