"""Every hook: documented with its exact signature, tested here, used by a built-in plugin."""

import ast
import re
import shutil
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from r1cli import Completion, Input, Job, Program, Sampling, hookspecs
from r1cli.code.opening import code_service
from r1cli.plugins import HOOKS, Plugins, builtin_plugins
from r1cli.recipe import Component
from r1cli.registry import KINDS
from r1cli.signature import bind

PAGE = (Path(__file__).parents[1] / "docs" / "hooks.md").read_text()
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
EVENTS = [name for name in HOOKS if not name.startswith("register_")]


def example(hook):
    """The example in docs/hooks.md as a loaded plugin called `example`."""
    module = ModuleType("example")
    [code] = re.findall(r"```python\n(.*?)```", SECTIONS[hook], re.DOTALL)
    exec(compile(code, f"docs/hooks.md, {hook}", "exec"), vars(module))
    plugins = Plugins([point("example", module)])
    [plugin] = plugins.loaded
    assert (plugin.problem, plugin.warnings) == ("", [])
    callers = plugins.manager.get_hookcallers(module)
    assert [caller.name for caller in callers] == [hook]
    return plugins


def point(name, module):
    """What Plugins needs of an entry point."""
    return SimpleNamespace(name=name, dist=None, load=lambda: module)


def only(plugins, kind):
    [entry] = plugins[kind].entries
    assert plugins[kind].get(entry.name) is plugins[kind].get(f"example/{entry.name}") is entry
    assert entry.help
    return entry.load()


@pytest.fixture
def run(tmp_path):
    return SimpleNamespace(
        directory=tmp_path / "run", recipe=None, model=tmp_path / "run" / "model"
    )


def test_the_page_documents_every_hook_in_its_exact_words():
    assert set(SECTIONS) == set(HOOKS)
    for node in ast.parse(Path(hookspecs.__file__).read_text()).body:
        if isinstance(node, ast.FunctionDef):
            signature = f"def {node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"
            assert f"```\n{signature}\n```" in SECTIONS[node.name], signature
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_every_hook_has_a_test_here():
    tests = {name.removeprefix("test_hook_") for name in globals() if "test_hook_" in name}
    assert tests == set(HOOKS)


def test_every_kind_has_its_hook():
    assert [f"register_{kind}" for kind in KINDS] == [h for h in HOOKS if h not in EVENTS]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_built_in_plugin_uses_it(hook):
    caller = getattr(builtin_plugins().manager.hook, hook)
    assert caller.get_hookimpls(), f"no built-in plugin implements {hook}: use it or remove it"


def test_built_ins_load_without_a_word():
    points = [p for p in entry_points(group="r1cli.plugins") if p.dist.name == "r1cli"]
    assert {plugin.name for plugin in builtin_plugins().loaded} == {p.name for p in points}
    assert [(p.name, p.problem) for p in builtin_plugins().loaded if p.problem] == []


def test_hook_register_rewards():
    reward = only(example("register_rewards"), "rewards")
    args = bind(reward, {"strip": True}, what="reward 'exact'", where="here")
    completions = [Completion("<think>3+3</think> 6 "), Completion("7")]
    assert reward(completions, solution=["6", "6"], **args) == [1.0, 0.0]


@pytest.mark.skipif(shutil.which("awk") is None, reason="awk is not installed")
def test_hook_register_code_providers():
    plugins = example("register_code_providers")
    with code_service(Component(name="awk"), plugins, where="here") as code:
        [good, bad] = code.run(
            [
                Program("awk", "{ print $1 * 2 }", [Input(b"3"), Input(b"4")]),
                Program("awk", "BEGIN { exit 3 }"),
            ]
        )
    assert [run.stdout for run in good.executions] == [b"6\n", b"8\n"]
    assert (good.status, good.provider, bad.executions[0].exit_code) == ("ok", "awk", 3)


def test_hook_register_datasets():
    dataset = only(example("register_datasets"), "datasets")
    args = bind(dataset, {"size": 2}, what="d", where="here", services={"seed": 5})
    assert dataset(**args)[1] == {"prompt": "6 + 2 = ?", "solution": "8"}


def test_hook_register_models():
    model = only(example("register_models"), "models")
    assert model(**bind(model, {"name": "r1"}, what="m", where="here")) == Path("/models/r1")


def test_hook_register_benchmarks():
    benchmark = only(example("register_benchmarks"), "benchmarks")
    built_in = builtin_plugins()
    assert benchmark.scorer in built_in["rewards"]
    dataset = built_in["datasets"].get(benchmark.dataset).load()
    assert bind(dataset, benchmark.args, what="d", where="here")


def test_hook_register_trainers(run, tmp_path):
    trainer = only(example("register_trainers"), "trainers")
    blank = tmp_path / "blank"
    blank.mkdir()
    (blank / "config.json").write_text("{}")
    recipe = SimpleNamespace(model=SimpleNamespace(name=str(blank)))
    assert trainer(recipe, run, dataset=[], rewards=[], callbacks=[]) == run.model
    assert (run.model / "config.json").exists()


def test_hook_register_engines():
    engine = only(example("register_engines"), "engines")
    with engine(model="none") as opened:
        [one, two] = opened.generate(["a b", [{"role": "user", "content": "c"}]], Sampling(n=2))
    assert (one, one[0].tokens, two) == (["a b", "a b"], 2, ["c", "c"])


def test_hook_register_launchers(run):
    launcher = only(example("register_launchers"), "launchers")(level=3)
    job = Job(("--version",), 1, "single", run.directory)
    assert launcher.command(job)[:2] == ["nice", "-n3"]
    assert launcher.submit(job) == 0


def test_hook_register_callbacks(run):
    callback = only(example("register_callbacks"), "callbacks")
    assert bind(callback, {"loss": 1}, what="c", where="here") == {"loss": 1.0}


def test_hook_run_started(run):
    run.directory.mkdir()
    example("run_started").emit("run_started", run=run)
    assert (run.directory / "note.txt").exists()


def test_hook_checkpoint_saved(run, tmp_path):
    (tmp_path / "checkpoint-3").mkdir()
    plugins = example("checkpoint_saved")
    plugins.emit("checkpoint_saved", run=run, path=tmp_path / "checkpoint-3", step=3)
    assert (run.directory / "copies" / "checkpoint-3").is_dir()


def test_hook_run_finished(run):
    run.directory.mkdir()
    example("run_finished").emit("run_finished", run=run, error=None)
    assert (run.directory / "ended.txt").read_text() == "well\n"


def test_hook_scores_came(run):
    run.directory.mkdir()
    run.state = {"scores": [{}, {}]}
    example("scores_came").emit("scores_came", run=run)
    assert (run.directory / "late.txt").read_text() == "2\n"


def test_hook_pipeline_finished(run, tmp_path):
    example("pipeline_finished").emit("pipeline_finished", runs=[run, run], directory=tmp_path)
    assert (tmp_path / "stages.txt").read_text() == f"{run.directory}\n" * 2


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("error", ["ValueError('no more')", "SystemExit(3)"])
def test_a_listener_that_raises_stops_nothing(event, error, caplog):
    heard = []
    values = dict.fromkeys(["run", "path", "step", "runs", "directory", "error"], 0)
    parameters = ", ".join(getattr(hookspecs, event).__annotations__.keys() - {"return"})
    loud, quiet = ModuleType("loud"), ModuleType("quiet")
    source = "from r1cli import hookimpl\n\n@hookimpl\ndef {}({}):\n    {}\n"
    exec(source.format(event, parameters, f"raise {error}"), vars(loud))
    quiet.heard = heard
    exec(source.format(event, "", "heard.append(1)"), vars(quiet))
    plugins = Plugins([point("loud", loud), point("quiet", quiet)])
    plugins.emit(event, **values)
    assert heard == [1]
    [record] = caplog.records
    assert record.getMessage().startswith(f"plugin 'loud' failed in {event}: {error[:9]}")
    assert record.exc_info


def test_an_object_may_be_a_plugin():
    class Local:
        @hookspecs.hookimpl
        def register_rewards(self, register):
            register("local", len)

    assert Plugins([point("local", Local())])["rewards"].names() == ["local"]
