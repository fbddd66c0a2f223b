"""The command `r1 brevity`: how long the completions in a file are."""

from pathlib import Path
from statistics import mean, median

import typer

from r1cli import UsageError, read_rows, ui

app = typer.Typer()


@app.command()
def show(
    file: Path = typer.Argument(help="A JSONL file with a `completion` in every row."),
    max_chars: int = typer.Option(500, min=0, help="What still counts as brief."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Print how long the completions of a file are, and how many of them are brief."""
    texts = [row["completion"] for row in read_rows(file) if "completion" in row]
    if not texts:
        raise UsageError(f"{file} holds no row with a 'completion'; r1 generate writes such files")
    lengths = [len(text) for text in texts]
    row = {
        "completions": len(texts),
        "shortest": min(lengths),
        "median": median(lengths),
        "mean": mean(lengths),
        "longest": max(lengths),
        f"at_most_{max_chars}": sum(length <= max_chars for length in lengths) / len(texts),
    }
    ui.table([row], list(row), as_json=json)
