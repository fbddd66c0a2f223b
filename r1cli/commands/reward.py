"""`r1 reward`: the lab. Look at rewards, test, score, compare, time and attack them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from r1cli.commands import installed_plugins, reward_files
from r1cli.commands.reward_files import ARG, JSON, NAME, NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from r1cli.lab.golden import Case
    from r1cli.plugins import Plugins
    from r1cli.registry import Entry

app = typer.Typer(help="Test, score, compare, time and attack rewards.", no_args_is_help=True)


@app.command("list")
def list_(json: bool = JSON) -> None:
    """Every reward: what it reads, its range, how many golden cases it ships."""
    from r1cli import ui
    from r1cli.lab import golden
    from r1cli.lab.about import about

    plugins = installed_plugins()
    rows = []
    for entry in _entries(plugins):
        known = about(entry, name=plugins["rewards"].name_of(entry))
        columns = [*known.required, *(f"[{name}]" for name in known.optional)]
        rows.append(
            {
                "reward": known.name,
                "columns": ", ".join([*columns, *(["*"] if known.every_column else [])]) or None,
                "range": known.range or None,
                "golden": len(golden.cases(entry)) or None,
                "plugin": known.plugin,
                "about": known.help,
            }
        )
    ui.table(rows, ["reward", "columns", "range", "golden", "plugin", "about"], as_json=json)


@app.command()
def show(name: str = NAME, json: bool = JSON) -> None:
    """One reward: columns, arguments with types and defaults, range, source."""
    from r1cli import ui
    from r1cli.lab import golden
    from r1cli.lab.about import about

    plugins = installed_plugins()
    entry = plugins["rewards"].get(name)
    known = about(entry, golden_cases=len(golden.cases(entry)))
    if json:
        ui.show_json(known.to_dict())
        return
    ui.table([{"what": k, "": v} for k, v in known.facts().items()], ["what", ""])
    args = [
        {"arg": a.name, "type": a.type, "default": repr(a.default), "about": a.about}
        for a in known.args
    ]
    ui.table(args, ["arg", "type", "default", "about"], empty="it takes no args")


@app.command()
def test(
    name: str = typer.Argument("", help="A reward or a plugin; none means every reward."),
    replay: Path | None = typer.Option(None, help="A failure that a run saved, instead."),
    arg: list[str] = ARG,
    json: bool = JSON,
) -> None:
    """The golden cases that ship with a reward; exit 1 if one is not answered as it must be."""
    from r1cli import ui
    from r1cli.errors import R1Error, UsageError
    from r1cli.lab import golden, named

    plugins = installed_plugins()
    if replay is not None:
        _replay(replay, name, plugins, json)
        return
    rows: list[dict[str, Any]] = []
    wrong: list[dict[str, Any]] = []
    entries = _entries(plugins, name)
    given = named.arguments(arg, [plugins["rewards"].name_of(entry) for entry in entries])
    for entry in entries:
        label = plugins["rewards"].name_of(entry)
        cases = golden.given_args(golden.cases(entry), given.get(label, {}))
        if not _complete(entry, cases, label, name):
            continue
        if not cases and name == label:
            raise UsageError(
                f"reward {name!r} of plugin {entry.plugin!r} ships no golden cases; "
                f"put them beside its module, in golden/{entry.name}.jsonl"
            )
        failed = [verdict for verdict in golden.run(entry, cases, plugins) if verdict.problem]
        wrong += [
            {"case": v.case.where, "problem": v.problem, "why": v.case.why or None} for v in failed
        ]
        rows.append({"reward": label, "cases": len(cases), "wrong": len(failed)})
    if json:
        ui.show_json({"rewards": rows, "wrong": wrong})
    else:
        ui.table(rows, ["reward", "cases", "wrong"])
        if wrong:
            ui.table(wrong, ["case", "problem", "why"])
    if wrong:
        raise R1Error(f"{len(wrong)} of {sum(r['cases'] for r in rows)} golden cases are wrong")


app.command()(reward_files.score)
app.command()(reward_files.diff)
app.command()(reward_files.bench)


@app.command()
def audit(
    name: str = typer.Argument("", help="A reward or a plugin.", autocompletion=NAMES),
    all_: bool = typer.Option(False, "--all", help="Every reward that ships golden cases."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Every attack, paying or not."),
    arg: list[str] = ARG,
    json: bool = JSON,
) -> None:
    """Attack a reward; exit 1 if an attack pays that the reward does not declare."""
    from dataclasses import asdict

    from r1cli import ui
    from r1cli.errors import R1Error, UsageError
    from r1cli.lab import golden, named
    from r1cli.lab.audit import audit as attack

    if all_ == bool(name):
        raise UsageError("name a reward to audit, or say --all")
    plugins = installed_plugins()
    audits = []
    entries = _entries(plugins, name)
    given = named.arguments(arg, [plugins["rewards"].name_of(entry) for entry in entries])
    for entry in entries:
        label = plugins["rewards"].name_of(entry)
        cases = golden.given_args(golden.cases(entry), given.get(label, {}))
        if name not in (entry.name, entry.qualified) and not cases:
            ui.say(f"{label}: no golden cases, not audited")
        elif _complete(entry, cases, label, name):
            audits.append(attack(entry, plugins, given.get(label)))
    summaries = [a.summary() for a in audits]
    if json:
        found = [{"findings": [asdict(f) for f in a.findings]} for a in audits]
        ui.show_json([{**s, **f} for s, f in zip(summaries, found, strict=True)])
    else:
        rows = [row for a in audits for row in a.rows(every=verbose)]
        ui.table(summaries, list(summaries[0]) if summaries else [])
        if rows:
            ui.table(rows, list(rows[0]))
    paying = [f"{a.reward}: {f.attack}" for a in audits for f in a.paying]
    if paying:
        raise R1Error(f"{len(paying)} attacks pay: {', '.join(paying)}")


def _entries(plugins: Plugins, name: str = "") -> list[Entry]:
    """Every reward, or those of one plugin, or the one called `name`."""
    registry = plugins["rewards"]
    known = sorted(registry.entries, key=registry.name_of)
    if not name:
        return known
    return [entry for entry in known if entry.plugin == name] or [registry.get(name)]


def _complete(entry: Entry, cases: Sequence[Case], label: str, name: str) -> bool:
    """Whether the cases have every argument; what one of several rewards wants is said."""
    from r1cli import ui
    from r1cli.errors import UsageError
    from r1cli.lab import golden

    missing = [f"--arg {label}.{argument}=..." for argument in golden.wanting(entry, cases)]
    if missing and name in (entry.name, entry.qualified):
        raise UsageError(f"reward {label!r} needs {' '.join(missing)}")
    if missing:
        ui.say(f"{label}: not tried, it needs {' '.join(missing)}")
    return not missing


def _replay(path: Path, name: str, plugins: Plugins, as_json: bool) -> None:
    from r1cli import ui
    from r1cli.errors import R1Error, UsageError
    from r1cli.lab.replay import replay

    found = replay(path, plugins)
    if name and name not in (found.reward, plugins["rewards"].get(found.reward).qualified):
        raise UsageError(f"{path} is a failure of {found.reward!r}, not of {name!r}")
    now: list[dict[str, Any]] = [
        {"sample": i, "status": o.status, "value": o.value, "reason": o.reason or None}
        for i, o in enumerate(found.now)
    ]
    if as_json:
        ui.show_json({"reward": found.reward, "then": found.then, "now": now, "error": found.error})
    else:
        ui.say(f"then: {found.then}")
        ui.table(now, ["sample", "status", "value", "reason"], empty="now: no outcome")
    if found.error or any(o.status == "failed" for o in found.now):
        raise R1Error(f"it still fails: {found.error or 'see the failed samples'}")
