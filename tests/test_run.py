import json
import subprocess
import sys

import pytest

from r1cli import files, run
from r1cli import recipe_file as recipes
from r1cli.errors import Interrupted, PluginError, ProviderError, UsageError
from r1cli.plugins import builtin_plugins
from r1cli.recipe.difference import AROUND
from r1cli.registry import Entry

TEXT = """\
name: mine
model: {name: m}
dataset: {name: d}
trainer: {name: grpo, args: {beta: 0.0}}
"""


@pytest.fixture
def load(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(TEXT)
    return lambda *overrides: recipes.load(str(path), overrides)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "runs" / "mine"


# -- a run directory -------------------------------------------------------------------------------


def test_a_new_run_holds_its_recipe_and_where_it_came_from(directory, load):
    one = run.open_run(directory, load())
    assert recipes.load(str(directory / run.RESOLVED)).model_dump() == load().model_dump()
    state = json.loads((directory / "run.json").read_text())
    assert state["status"] == "running" and state["seed"] == 0
    assert {"argv", "git", "versions", "host", "python", "started"} <= set(state)
    assert "r1cli" in state["versions"]
    one.release()


def test_the_same_recipe_goes_on(directory, load):
    first = run.open_run(directory, load())
    first.record(status="interrupted", kept=1)
    first.release()
    second = run.open_run(directory, load())
    assert (second.state["kept"], second.state["status"]) == (1, "running")
    second.release()


def test_another_recipe_never_goes_on_silently(directory, load):
    run.open_run(directory, load()).release()
    before = (directory / "run.json").read_bytes()
    with pytest.raises(UsageError) as caught:
        run.open_run(directory, load("trainer.args.beta=0.1", "seed=3", "name=x", "model.name=y"))
    assert str(caught.value) == (
        f"{directory} was made by a different recipe (model.name: m -> y, name: mine -> x, "
        "seed: 0 -> 3, and 1 more); add --fresh to move it aside, or choose another --run"
    )
    assert (directory / "run.json").read_bytes() == before


def test_where_a_run_works_may_change_and_is_noted(directory, load, caplog):
    caplog.set_level("INFO")
    run.open_run(directory, load()).release()
    moved = load("launch={processes: 2, accelerator: ddp}", "benchmarks=[{name: b}]")
    for _ in range(2):  # the second time nothing has changed
        one = run.open_run(directory, moved)
        one.release()
    assert one.state["changed"] == [
        "benchmarks.0.engine.name: unset -> transformers, benchmarks.0.name: unset -> b, "
        "launch.accelerator: single -> ddp, and 1 more"
    ]
    assert caplog.text.count("goes on with") == 1
    assert recipes.load(str(directory / run.RESOLVED)).launch.processes == 2


def test_every_key_either_decides_what_is_learned_or_may_change():
    """A new key of a recipe has to be put on one side."""
    learned = {"name", "seed", "model", "dataset", "system_prompt", "rewards", "trainer", "batch"}
    assert learned | set(AROUND) == set(recipes.Recipe.model_fields)
    assert not learned & set(AROUND)


def test_what_is_moved_together_with_its_model_goes_on(directory, load, tmp_path):
    """A stage of a pipeline starts from the folder of the one before."""
    here, there = directory.parent, tmp_path / "elsewhere"
    run.open_run(directory, load(f"model.name={here}/1-sft/model")).release()
    here.rename(there)
    with pytest.raises(UsageError, match="made by a different recipe"):
        run.open_run(there / "mine", load(f"model.name={there}/1-other/model"))
    again = run.open_run(there / "mine", load(f"model.name={there}/1-sft/model"))
    assert again.state["directory"] == str(there / "mine")
    assert again.state["changed"] == [f"model.name: {here}/1-sft/model -> {there}/1-sft/model"]
    again.release()


def test_keys_that_one_recipe_lacks_are_unset(directory, load):
    run.open_run(directory, load()).release()
    with pytest.raises(UsageError, match=r"rewards\.0\.args\.x: unset -> 1e-06"):
        run.open_run(directory, load("rewards=[{name: a, args: {x: 1e-6}}]"))


def test_a_killed_beginning_is_begun_again(directory, load):
    directory.mkdir(parents=True)
    (directory / ".lock").touch()
    (directory / f".{run.RESOLVED}.partial").write_text("name: mi")
    run.open_run(directory, load()).release()
    (directory / "run.json").unlink()
    again = run.open_run(directory, load())
    assert again.state["status"] == "running"
    again.release()


def test_what_is_no_run_is_left_alone(directory, load):
    directory.mkdir(parents=True)
    (directory / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match="exists and is no r1 run; choose another --run"):
        run.open_run(directory, load())
    run.move_aside(directory)
    assert [p.name for p in directory.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageError, match="is a file, not a run directory"):
        run.open_run(directory / "thesis.tex", load())


def test_broken_state_is_named(directory, load):
    one = run.open_run(directory, load())
    (directory / "run.json").write_text("{")
    with pytest.raises(UsageError, match=r"run\.json is not a run's state"):
        one.record(x=1)
    one.release()


HOLDER = """
import sys
from pathlib import Path
from r1cli import recipe_file as recipes
from r1cli import run
held = run.open_run(Path(sys.argv[1]), recipes.load(sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(directory, load, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory), str(tmp_path / "my.yaml")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_run_is_held_by_one_process_at_a_time(directory, load, holder):
    with pytest.raises(UsageError, match=f"{directory} is in use by another r1 process"):
        run.open_run(directory, load())
    with pytest.raises(UsageError, match=f"{directory} is in use by another r1 process"):
        run.move_aside(directory)  # --fresh must not pull it away from under the other
    holder.kill()
    holder.wait()
    run.open_run(directory, load()).release()


def test_a_pipeline_is_not_moved_while_one_of_its_stages_runs(directory, load, holder):
    with pytest.raises(UsageError, match="is in use"):
        run.move_aside(directory.parent)


def test_fresh_moves_a_run_aside_and_keeps_it(directory, load):
    for seed in range(3):  # within one second
        run.open_run(directory, load(f"seed={seed}")).release()
        run.move_aside(directory)
    assert not directory.exists()
    kept = run.list_runs(directory.parent)
    assert sorted(one.recipe.seed for one in kept) == [0, 1, 2]
    assert all(one.directory.name.startswith("mine.20") for one in kept)
    run.move_aside(directory)  # nothing there, nothing to do


def test_other_ranks_touch_nothing(directory, load):
    run.open_run(directory, load(), resume=False)
    assert not directory.exists()


# -- what happened in it ---------------------------------------------------------------------------


def test_metrics_past_a_checkpoint_are_forgotten(directory, load):
    one = run.open_run(directory, load())
    for step in range(5):
        one.log_metrics({"step": step, "loss": 1 / (step + 1)})
    for step, rank in ((2, ""), (3, ""), (3, ".rank1")):
        path = directory / "rollouts" / f"step_{step:06d}{rank}.parquet"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    one.forget_after(2)
    assert [row["step"] for row in one.metrics()] == [0, 1, 2]
    assert [path.name for path in (directory / "rollouts").iterdir()] == ["step_000002.parquet"]
    one.log_metrics({"step": 2, "benchmark/b": 0.5})
    one.log_metrics({"step": 2, "seconds": 9.0})  # the run closed, and goes on all the same
    one.forget_after(2, closing="seconds")
    assert [row["step"] for row in one.metrics()] == [0, 1, 2, 2]
    one.release()


def test_the_last_checkpoint_is_the_newest_whole_one(directory, load, caplog):
    one = run.open_run(directory, load())
    assert one.last_checkpoint() is None
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-x"):
        (one.checkpoints / name).mkdir(parents=True)
        (one.checkpoints / name / "trainer_state.json").touch()
    (one.checkpoints / "checkpoint-11").mkdir()  # cut short
    (one.unfinished / "checkpoint-12").mkdir(parents=True)
    assert one.last_checkpoint().name == "checkpoint-10"
    assert [path.name for path in one.whole_checkpoints()] == ["checkpoint-9", "checkpoint-10"]
    assert f"left out {one.checkpoints}/checkpoint-11: it is not whole" in caplog.text
    assert f"left out {one.unfinished}/checkpoint-12: it is not whole" in caplog.text
    one.release()


def test_other_rows_than_a_checkpoint_has_learned_from_are_refused(directory, load):
    from r1cli.pipeline import _record_rows

    one = run.open_run(directory, load())
    for rows in ([{"prompt": "1"}], [{"prompt": "2"}]):  # nothing is learned yet
        _record_rows(one, rows)
    (one.checkpoints / "checkpoint-1").mkdir(parents=True)
    (one.checkpoints / "checkpoint-1" / "trainer_state.json").touch()
    _record_rows(one, [{"prompt": "2"}])
    with pytest.raises(UsageError, match="have changed since it began: 1 then, 2 now"):
        _record_rows(one, [{"prompt": "2"}, {"prompt": "3"}])
    one.release()


def test_a_listing_leaves_out_what_is_no_run(directory, load, caplog):
    run.open_run(directory, load()).release()
    good = (directory / run.RESOLVED).read_text()
    for name, resolved, state in (
        ("foreign", None, "{}"),
        ("old", "model: {nme: x}\n", "{}"),
        ("torn", good, '{"status": "fin'),
        ("odd", good, "[1]"),
    ):
        (directory.parent / name).mkdir()
        (directory.parent / name / "run.json").write_text(state)
        if resolved:
            (directory.parent / name / run.RESOLVED).write_text(resolved)
    assert [one.directory for one in run.list_runs(directory.parent)] == [directory]
    assert caplog.text.count("left out") == 4 and "'model.nme'" in caplog.text


def test_free_space_of_a_place_that_is_not_there_yet(directory):
    assert files.free_bytes(directory) > 0
    assert not directory.exists()


# -- on the command line ---------------------------------------------------------------------------

RECIPE = """\
model: {name: r1_tiny_blank}
dataset: {name: some}
trainer: {name: still}
callbacks: []
"""


@pytest.fixture
def train(r1, tmp_path, monkeypatch):
    """`r1 train still` with a trainer that trains nothing, or raises `train.error`."""
    pytest.importorskip("datasets", reason="rows are a datasets.Dataset")

    def still(recipe, run, *, dataset, rewards, callbacks):
        if train.error:
            raise train.error
        run.model.mkdir()
        return run.model

    plugins = builtin_plugins()
    plugins["trainers"].add(Entry("trainers", "still", still, "", "test", False))
    plugins["datasets"].add(Entry("datasets", "some", lambda: [{"a": 1}], "", "test", False))
    plugins["models"].entries = [
        Entry("models", "r1_tiny_blank", lambda: tmp_path, "", "test", False)
    ]
    monkeypatch.setattr("r1cli.plugins.load_plugins", lambda: plugins)
    (tmp_path / "my.yaml").write_text(RECIPE)
    (tmp_path / "config.json").touch()

    def train(*args):
        answer = r1("train", "still", "--recipe", "my.yaml", "--run", "runs/x", *args)
        errors = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
        return answer.exit_code, "".join(errors)

    train.error = None
    return train


def test_the_same_command_again_has_nothing_to_do(train, tmp_path):
    assert train() == (0, "")
    train.error = AssertionError("trained twice")
    assert train() == (0, "")
    assert json.loads((tmp_path / "runs/x/run.json").read_text())["status"] == "finished"


def test_another_recipe_is_refused_and_fresh_begins_anew(train, tmp_path):
    assert train() == (0, "")
    code, line = train("--set", "seed=3")
    assert code == 2
    assert line.startswith("error: runs/x was made by a different recipe (seed: 0 -> 3)")
    assert train("--set", "seed=3", "--fresh") == (0, "")
    seeds = {one.directory.name: one.recipe.seed for one in run.list_runs(tmp_path / "runs")}
    assert seeds.pop("x") == 3 and list(seeds.values()) == [0]


def test_a_directory_that_is_no_run_is_refused_even_fresh(train, tmp_path):
    (tmp_path / "runs/x").mkdir(parents=True)
    (tmp_path / "runs/x/thesis.tex").touch()
    for more in ((), ("--fresh",)):
        assert train(*more) == (2, "error: runs/x exists and is no r1 run; choose another --run")
    assert [p.name for p in (tmp_path / "runs/x").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (UsageError("bad"), 2, "failed"),
        (PluginError("bad"), 4, "failed"),
        (ProviderError("bad"), 5, "failed"),
        (Interrupted("bad"), 130, "interrupted"),
    ],
)
def test_how_a_run_ended_is_its_code_and_its_state(train, tmp_path, error, code, status):
    train.error = error
    assert train() == (code, "error: bad")
    path = tmp_path / "runs/x/run.json"
    state = json.loads(path.read_text())
    assert (state["status"], state["error"]) == (status, f"{type(error).__name__}: bad")
    path.write_text(json.dumps({**state, "train_seconds": state["train_seconds"] + 100}))
    train.error = None
    assert train() == (0, "")  # and the lock was let go of
    state = json.loads(path.read_text())
    assert (state["status"], state["error"]) == ("finished", None)
    assert state["train_seconds"] >= 100, "the time of every start counts"


def test_control_c_is_130(train, tmp_path):
    train.error = KeyboardInterrupt()
    assert train() == (130, "")
    assert json.loads((tmp_path / "runs/x/run.json").read_text())["status"] == "interrupted"
