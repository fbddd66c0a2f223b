"""Options that several `r1 data` commands take."""

from __future__ import annotations

from enum import StrEnum

import typer


class OnError(StrEnum):
    """What a row that cannot be read does."""

    STOP = "stop"
    SKIP = "skip"


DATASET = typer.Argument(
    metavar="DATASET", help="A file, a folder, a hub id (owner/name) or a registered dataset."
)
ARG = typer.Option(
    [], "--arg", metavar="KEY=VALUE", help="An argument of the dataset, split=test say; repeatable."
)
ON_ERROR = typer.Option(OnError.STOP, help="A row that cannot be read: stop, or skip and count it.")
PROMPT_COLUMN = typer.Option(
    "", help="The column of the problems; default problem, question, prompt, ..."
)
JSON = typer.Option(False, "--json", help="Print JSON.")
