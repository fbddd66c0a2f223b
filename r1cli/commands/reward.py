"""`r1 reward`: the lab. Look at rewards, test, score, compare, time and attack them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from r1cli.commands import completer, installed_plugins

if TYPE_CHECKING:
    from r1cli.lab.table_file import Samples
    from r1cli.plugins import Plugins
    from r1cli.registry import Entry

app = typer.Typer(help="Test, score, compare, time and attack rewards.", no_args_is_help=True)

NAMES = completer("rewards")
NAME = typer.Argument(help="A reward.", autocompletion=NAMES)
FILE = typer.Argument(help="Completions: JSONL, Parquet, or a folder of Parquet files.")
ARG = typer.Option([], "--arg", metavar="REWARD.KEY=VALUE", help="An argument of a reward.")
COLUMN = typer.Option([], metavar="WANTED=PRESENT", help="Another name for a column of the file.")
COMPLETION_COLUMN = typer.Option("", help="The column of completions; default completion.")
JSON = typer.Option(False, "--json", help="Print JSON.")


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
    json: bool = JSON,
) -> None:
    """The golden cases that ship with a reward; exit 1 if one is not answered as it must be."""
    from r1cli import ui
    from r1cli.errors import R1Error, UsageError
    from r1cli.lab import golden

    plugins = installed_plugins()
    if replay is not None:
        _replay(replay, name, plugins, json)
        return
    rows: list[dict[str, Any]] = []
    wrong: list[dict[str, Any]] = []
    for entry in _entries(plugins, name):
        label = plugins["rewards"].name_of(entry)
        cases = golden.cases(entry)
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


@app.command()
def score(
    file: Path = FILE,
    reward: list[str] = typer.Option([], help="A reward; may be given more than once."),
    arg: list[str] = ARG,
    column: list[str] = COLUMN,
    completion_column: str = COMPLETION_COLUMN,
    out: Path | None = typer.Option(None, help="Write rows and scores: .jsonl or .parquet."),
    json: bool = JSON,
) -> None:
    """Score a file of completions; print how the scores lie."""
    from r1cli import ui
    from r1cli.errors import UsageError
    from r1cli.lab import named, table_file
    from r1cli.lab.distribution import histogram, summary
    from r1cli.scoring import Scorer

    plugins = installed_plugins()
    if not reward:
        raise UsageError("no --reward named; see: r1 reward list")
    if out is not None:
        table_file.check_writable(out)
    rewards = named.rewards(reward, arg, plugins)
    samples = _samples(file, column, completion_column)
    samples.check(rewards)
    with Scorer(rewards) as scorer:
        outcomes = scorer.score(samples.completions, samples.prompts, samples.columns)
    if out is not None:
        scored = {r.name: o for r, o in zip(rewards, outcomes, strict=True)}
        table_file.write_scores(out, samples.rows, scored)
        ui.say(f"wrote {len(samples)} rows to {out}")
    rows = [summary(r.name, o) for r, o in zip(rewards, outcomes, strict=True)]
    ui.table(rows, list(rows[0]), as_json=json)
    if not json:
        for one, scores in zip(rewards, outcomes, strict=True):
            bars = histogram(scores)
            ui.table(bars, ["value", "count", ""], title=one.name, empty=f"{one.name}: no score")


@app.command()
def diff(
    file: Path = FILE,
    a: str = typer.Argument(help="A reward, a file that `score` wrote, or a column of FILE."),
    b: str = typer.Argument(help="The same, to compare with."),
    reward: str = typer.Option("", help="Which scores, in files that hold several."),
    arg: list[str] = ARG,
    column: list[str] = COLUMN,
    completion_column: str = COMPLETION_COLUMN,
    limit: int = typer.Option(20, min=1, help="Rows to print."),
    json: bool = JSON,
) -> None:
    """The rows that two rewards, or two versions of their scores, judge differently."""
    from r1cli import ui
    from r1cli.lab import named
    from r1cli.lab.compare import compare, series

    plugins = installed_plugins()
    samples = _samples(file, column, completion_column)
    args = named.arguments(arg, [a, b])
    first, second = (
        series(what, samples, args.get(what, {}), plugins, column=reward) for what in (a, b)
    )
    found = compare(first, second)
    changed = [
        {"row": i + 1, "a": first[i], "b": second[i], "completion": samples.completions[i][-60:]}
        for i in found.changed[:limit]
    ]
    counts = found.counts()
    if json:
        ui.show_json({"a": a, "b": b, **counts, "changes": changed})
        return
    ui.table([counts], list(counts))
    ui.table(
        [{**row, a: row["a"], f"{b} ": row["b"]} for row in changed],
        ["row", a, f"{b} ", "completion"],  # the blank keeps two columns where a is b
        empty="no row changed",
    )


@app.command()
def bench(
    name: str = NAME,
    file: Path | None = typer.Argument(None, help="Completions; default its golden cases."),
    arg: list[str] = ARG,
    column: list[str] = COLUMN,
    completion_column: str = COMPLETION_COLUMN,
    seconds: float = typer.Option(3.0, min=0.1, help="How long to repeat."),
    json: bool = JSON,
) -> None:
    """Samples per second in batches of 64, and the wait for one."""
    from r1cli import ui
    from r1cli.lab import named
    from r1cli.lab.throughput import measure, repeated

    plugins = installed_plugins()
    [reward] = named.rewards([name], arg, plugins)
    if file is not None:
        samples = _samples(file, column, completion_column)
        samples.check([reward])
        data = (samples.completions, samples.prompts, samples.columns)
    else:
        data = repeated(plugins["rewards"].get(name))
    rows = measure(reward, *data, seconds=seconds)
    ui.table(rows, list(rows[0]), as_json=json)


@app.command()
def audit(
    name: str = typer.Argument("", help="A reward or a plugin.", autocompletion=NAMES),
    all_: bool = typer.Option(False, "--all", help="Every reward that ships golden cases."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Every attack, paying or not."),
    json: bool = JSON,
) -> None:
    """Attack a reward; exit 1 if an attack pays that the reward does not declare."""
    from dataclasses import asdict

    from r1cli import ui
    from r1cli.errors import R1Error, UsageError
    from r1cli.lab import golden
    from r1cli.lab.audit import audit as attack

    if all_ == bool(name):
        raise UsageError("name a reward to audit, or say --all")
    plugins = installed_plugins()
    audits = []
    for entry in _entries(plugins, name):
        if name not in (entry.name, entry.qualified) and not golden.cases(entry):
            ui.say(f"{plugins['rewards'].name_of(entry)}: no golden cases, not audited")
            continue
        audits.append(attack(entry, plugins))
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


def _samples(file: Path, column: list[str], completion_column: str) -> Samples:
    from r1cli.errors import UsageError
    from r1cli.lab import table_file

    renamed = dict(pair.partition("=")[::2] for pair in column)
    for pair in column:
        if not all(pair.partition("=")):
            raise UsageError(f"--column {pair!r} is not of the form wanted=present")
    return table_file.read(file, completion_column=completion_column, renamed=renamed)


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
