"""`r1 data`: look at data, make it, clean it, filter it, move it."""

from __future__ import annotations

import typer

from r1cli.commands.data_check import check, preview
from r1cli.commands.data_decontaminate import decontaminate
from r1cli.commands.data_files import convert, make, mix, pull, push
from r1cli.commands.data_pass_rate import pass_rate

app = typer.Typer(help="Check, make, clean, filter and convert data.", no_args_is_help=True)
app.command("check")(check)
app.command("preview")(preview)
app.command("decontaminate")(decontaminate)
app.command("pass-rate")(pass_rate)
app.command("make")(make)
app.command("mix")(mix)
app.command("convert")(convert)
app.command("push")(push)
app.command("pull")(pull)
