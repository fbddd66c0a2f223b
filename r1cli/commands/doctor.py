"""`r1 doctor`: what this machine has, what is missing, and the line that mends it."""

from __future__ import annotations

import typer


def doctor(json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Check Python, packages, hardware and plugins; exit 1 if training cannot work."""
    from r1cli import ui
    from r1cli.diagnosis import diagnose

    findings = diagnose()
    rows = [finding._asdict() for finding in findings]
    ui.table(rows, ["check", "state", "detail"], as_json=json)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)
