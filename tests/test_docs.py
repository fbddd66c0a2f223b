"""Every `r1` line in the docs is a command that exists with options that exist; cheap ones run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from r1cli.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = ("recipe list", "recipe show", "plugins list", "eval --list", "runs list")


def shell_lines() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(page.name, line.split("  #")[0].strip()) for line in lines]
    return [(page, line) for page, line in found if line.startswith("r1 ")]


@pytest.mark.parametrize(("page", "line"), shell_lines())
def test_command_exists(page, line):
    command, arguments = typer.main.get_command(app), shlex.split(line)[1:]
    context = command.make_context("r1", list(arguments), resilient_parsing=False)
    while hasattr(command, "commands") or hasattr(command, "get_command"):
        rest = [*context._protected_args, *context.args]
        if not rest:
            break
        name, *rest = rest
        command = command.get_command(context, name)
        assert command is not None, f"{page}: no command {name!r} in {line!r}"
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize(("page", "line"), [c for c in shell_lines() if c[1][3:].startswith(RUN)])
def test_cheap_command_runs(page, line):
    from typer.testing import CliRunner

    result = CliRunner().invoke(app, shlex.split(line)[1:])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_recipes_in_the_docs_pass_the_check(page, tmp_path):
    from r1cli import recipe_file as recipes
    from r1cli.check import check
    from r1cli.plugins import builtin_plugins

    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.S)):
        path = tmp_path / f"page-{number}.yaml"
        path.write_text(text, "utf-8")
        if "stages:" in text:
            recipes.load_pipeline(str(path))
        elif "trainer:" in text:
            check(recipes.load(str(path)), builtin_plugins())


def test_design_page_names_files_that_exist():
    tree = re.search(r"```\n(r1cli/.*?)```", (ROOT / "docs" / "design.md").read_text(), re.S)
    assert tree
    folder = ROOT
    for line in tree.group(1).splitlines():
        indented = line.startswith("  ")
        for name in re.findall(r"[\w/.]+\.py|[\w]+/", line[:44]):
            place = (folder if indented else ROOT) / name
            assert place.exists(), f"{place} is in docs/design.md and nowhere else"
            if not indented and name.endswith("/"):
                folder = place
