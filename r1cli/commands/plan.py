"""`r1 plan`: what a recipe will take, before it is launched; nothing is loaded or started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from r1cli.commands import complete_recipe, completer, installed_plugins

if TYPE_CHECKING:
    from r1cli.planning.plan import Plan

BAR = 40
GIB = 2**30


def plan(
    recipe: str = typer.Option(
        ..., help="A recipe or pipeline, a file or shipped.", autocompletion=complete_recipe
    ),
    set_: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Override a key of the recipe; repeatable."
    ),
    gpus: int | None = typer.Option(
        None, min=0, help="GPUs of a node; 0 plans for a CPU. Default: those of this machine."
    ),
    gpu_memory: float | None = typer.Option(
        None, min=0.001, max=1e6, help="GiB of one GPU. Default: this machine's, else 80."
    ),
    on: str = typer.Option(
        "", help="The launcher, launch.name.", autocompletion=completer("launchers")
    ),
    nodes: int | None = typer.Option(None, min=1, help="Nodes, launch.args.nodes."),
    prompt_tokens: int = typer.Option(512, min=1, help="Longest prompt to plan GRPO for."),
    json: bool = typer.Option(False, "--json", help="Print JSON, sizes in bytes."),
) -> None:
    """Memory, batch and nodes of a recipe, and which knob to turn; exit code 1 if it will not fit.

    Reads the model's config.json only. Of a pipeline every stage is planned, the largest shown.
    """
    from functools import partial

    from r1cli import recipe_file as recipes
    from r1cli import ui
    from r1cli.planning.plan import make_plan
    from r1cli.planning.stages import stages_to_plan

    shorthands = {"launch.name": on, "launch.args.nodes": nodes}
    shorthands = {key: value for key, value in shorthands.items() if value}
    plan_one = partial(
        make_plan,
        plugins=installed_plugins(),
        gpus=gpus,
        gpu_memory=gpu_memory,
        prompt_tokens=prompt_tokens,
    )
    path = recipes.find(recipe)
    if recipes.is_pipeline(path):
        pipeline = recipes.load_pipeline(str(path), set_)
        made = [plan_one(stage) for stage in stages_to_plan(pipeline, path, shorthands)]
        if json:
            largest = made.index(_largest(made))
            ui.show_json({"stages": [one.as_data() for one in made], "largest": largest})
        else:
            _show_stages(made)
    else:
        set_ = [*set_, *(f"{key}={value}" for key, value in shorthands.items())]
        made = [plan_one(recipes.load(str(path), set_))]
        if json:
            ui.show_json(made[0].as_data())
        else:
            _show(made[0])
    if not all(one.fits for one in made):
        raise typer.Exit(1)


def _largest(plans: list[Plan]) -> Plan:
    """The stage that asks most of its device."""
    return max(plans, key=lambda plan: (not plan.fits, plan.memory.peak / plan.machine.memory))


def _show_stages(plans: list[Plan]) -> None:
    from r1cli import ui

    rows = [
        {
            "stage": number,
            "recipe": plan.recipe.name,
            "peak GiB": f"{plan.memory.peak / GIB:.1f}",
            "of": f"{plan.machine.memory / GIB:.1f}",
            "fullest moment": plan.memory.worst.name,
            "fits": "yes" if plan.fits else "no",
        }
        for number, plan in enumerate(plans, 1)
    ]
    ui.table(rows, list(rows[0]))
    largest = _largest(plans)
    ui.show(f"stage {plans.index(largest) + 1}, the largest:")
    ui.show("")
    _show(largest)


def _show(plan: Plan) -> None:
    from r1cli import ui

    model, setup, batch = plan.model, plan.setup, plan.setup.batch
    active = f", {model.active / 1e9:.3g} B active" if model.experts else ""
    trained = f", {setup.adapter.trained / 1e6:.3g} M trained" if setup.adapter else ""
    ui.show(
        f"model    {plan.recipe.model.name}: {model.model_type}, "
        f"{model.parameters:,} parameters{active}{trained}"
    )
    ui.show(f"ranks    {setup.ranks} x {_device(plan)}, {setup.strategy.name}")
    ui.show(f"batch    {batch}")
    ui.show(
        f"step     {plan.completions:,} texts of up to {setup.length:,} tokens: "
        f"{plan.completions * setup.length:,} tokens"
    )
    for place in plan.places:
        ui.show(
            f"{place.role:<8} {place.nodes} node(s) x {place.devices_per_node} device(s): "
            f"{place.detail}"
        )
    for note in plan.notes:
        ui.show(f"note     {note}")
    ui.show("")
    _show_memory(plan)
    _show_vllm(plan)
    for problem in plan.problems:
        ui.show(f"does not fit: {problem}")
    if plan.fits:
        peak, has = plan.memory.peak / GIB, plan.machine.memory / GIB
        ui.show(f"fits: {peak:.1f} of {has:.1f} GiB")
    if plan.longest:
        what = "completion" if setup.trainer == "grpo" else "text"
        ui.show(f"longest {what} that fits: {plan.longest:,} tokens")
    _show_advice(plan)


def _device(plan: Plan) -> str:
    size, gpu = f"{plan.machine.memory / GIB:.1f} GiB", plan.machine.device == "cuda"
    return f"{'GPU' if gpu else 'CPU process'} of {size}"


def _show_memory(plan: Plan) -> None:
    """The worst phase as a fall of bars, each beginning where the last one ended."""
    from r1cli import ui

    worst, rows, before = plan.memory.worst, [], 0.0
    scale = max(worst.total, plan.machine.memory)
    for part, size in sorted(worst.parts.items(), key=lambda pair: -pair[1]):
        rows.append(_row(part.replace("_", " "), size, before, scale, plan.machine.memory))
        before += size
    rows.append(_row("peak", worst.total, 0.0, scale, plan.machine.memory))
    columns = ["memory of a rank", "GiB", "share", "0 to device size"]
    if worst.total > plan.machine.memory:
        columns[-1] = "0 to peak, | is the device"
    data = [dict(zip(columns, row, strict=True)) for row in rows]
    ui.table(data, columns, title=f"the fullest moment: {worst.name}")
    others = [f"{p.name} {p.total / GIB:.1f}" for p in plan.memory.phases if p is not worst]
    ui.show(f"other moments, GiB: {', '.join(others)}")
    if plan.memory.host:
        ui.show(f"offloaded: {plan.memory.host / GIB:.1f} GiB of the machine's memory per rank")


def _row(name: str, size: float, start: float, scale: float, device: float) -> list[Any]:
    first, last = round(BAR * start / scale), round(BAR * (start + size) / scale)
    bar = [" "] * first + ["\u2588"] * max(last - first, 0)
    if last == first:
        bar.append("\u258f")  # too thin for a block
    bar += [" "] * (BAR - len(bar))
    edge = round(BAR * device / scale)
    if edge < BAR:
        bar.insert(edge, "|")
    return [name, f"{size / GIB:.2f}", f"{100 * size / device:.0f} %", "".join(bar)]


def _show_vllm(plan: Plan) -> None:
    from r1cli import ui

    served, sampler = plan.memory.vllm, plan.setup.sampler
    if not served or not sampler:
        return
    where = "on each GPU of its own" if sampler.kind == "server" else "beside the trainer"
    ui.show(
        f"vLLM {where}, GiB: {served.reserved / GIB:.1f} = weights {served.weights / GIB:.1f} + "
        f"cache {served.cache / GIB:.1f} + rest; {served.sequences:.0f} sequences of "
        f"{sampler.length:,} tokens at once, {served.wanted} asked for"
    )


def _show_advice(plan: Plan) -> None:
    from r1cli import ui

    rows = [
        {
            "knob": item.assignment,
            "saves GiB": f"{item.saves / GIB:.2f}",
            "peak then": f"{item.after.peak / GIB:.2f}",
            "fits": "yes" if item.after.fits else "no",
            "at the cost of": item.knob.cost,
        }
        for item in plan.advice
    ]
    columns = ["knob", "saves GiB", "peak then", "fits", "at the cost of"]
    title = "knobs to turn, each beside those above it"
    ui.table(rows, columns, title=title, empty="no knob saves as much as a hundredth")
    if plan.advice and not plan.advice[-1].after.fits:
        ui.show("that is not enough: plan again with these set, or on more or larger devices")
