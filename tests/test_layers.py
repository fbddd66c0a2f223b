"""Who may import whom, read from the import statements of r1cli/ and plugins/."""

import ast
from pathlib import Path

import pytest

import r1cli

ROOT = Path(__file__).parents[1]
CORE = sorted((ROOT / "r1cli").rglob("*.py"))
PACKAGES = sorted(p.parent for p in (ROOT / "plugins").glob("*/__init__.py"))
PLUGINS = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
EXAMPLE = sorted((ROOT / "plugins" / "example").rglob("*.py"))
NAMES = {package.name for package in PACKAGES} | {"r1_plugin_brevity"}
LINES = 300
RELATIVE = {ROOT / "plugins/r1_code/sandbox"}  # its zygote runs outside of the package r1_code

HEAVY = set(
    "accelerate datasets deepspeed huggingface_hub math_verify "  # noqa: SIM905 - 20 lines else
    "matplotlib numpy pandas peft plotext pyarrow requests rich safetensors scipy sympy tokenizers "
    "torch transformers trl vllm".split()
)


def imports(path, *, everywhere=True):
    """(line, module, name) of each import: "" where the whole module is meant.

    Unless `everywhere`, without those in functions and under `if TYPE_CHECKING`.
    """
    nodes = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            sibling = node.level == 1 and path.parent in RELATIVE
            assert node.level == 0 or sibling, f"{path}:{node.lineno}: relative import"
            module = "." if sibling else node.module
            yield from ((node.lineno, module, alias.name) for alias in node.names)
        elif everywhere or not _later(node):
            nodes += ast.iter_child_nodes(node)


def _later(node):
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def top(module):
    return module.partition(".")[0]


def name_of(path):
    return str(path.relative_to(ROOT))


def test_there_is_something_to_look_at():
    assert len(CORE) > 20
    assert len(PACKAGES) >= 8
    assert EXAMPLE


@pytest.mark.parametrize("path", CORE, ids=name_of)
def test_the_core_imports_no_plugin(path):
    assert [i for i in imports(path) if top(i[1]) in NAMES] == []


@pytest.mark.parametrize("path", [*PLUGINS, *EXAMPLE], ids=name_of)
def test_a_plugin_imports_the_public_api_and_no_other_plugin(path):
    own = path.relative_to(ROOT / "plugins").parts[0].replace("example", "r1_plugin_brevity")
    for line, module, name in imports(path):
        where = f"{name_of(path)}:{line}: {module} {name}"
        if top(module) == "r1cli":
            assert (module, name in r1cli.__all__) == ("r1cli", True), f"{where} is not public"
        assert top(module) not in NAMES - {own}, f"{where} is another plugin"


@pytest.mark.parametrize("path", [*CORE, *PLUGINS, *EXAMPLE], ids=name_of)
def test_heavy_packages_are_imported_inside_functions(path):
    assert [i for i in imports(path, everywhere=False) if top(i[1]) in HEAVY] == []


@pytest.mark.parametrize("path", [*CORE, *PLUGINS, *EXAMPLE], ids=name_of)
def test_a_file_can_be_read_in_one_go(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES


@pytest.mark.parametrize("path", CORE, ids=name_of)
def test_only_the_command_line_prints(path):
    calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    printed = [n.lineno for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]
    assert printed == [] or path.name == "ui.py"
