"""Wrong input on the command line: one line that helps, the right code, nothing left behind."""

import importlib.util
import re
import time

import pytest

pytest.importorskip("datasets", reason="rows are datasets.Dataset objects")

GOOD = """\
model: {name: r1_tiny_blank}
dataset: {name: chain_sums, args: {size: 8}}
rewards:
  - {name: accuracy}
  - {name: format, weight: 0.1, args: {mode: soft}}
trainer: {name: grpo, args: {max_steps: 1}}
batch: {prompts_per_step: 4, group_size: 2}
launch: {name: local}
callbacks: []
"""
MIXTURE = "{mixture: [{name: chain_sums, weight: 0.5}]}"


@pytest.fixture
def refused(r1, tmp_path):
    """Trains a recipe that cannot be: asserts code and tidiness, returns the one line."""

    def call(text, *more, command=("train", "grpo"), code=2):
        (tmp_path / "my.yaml").write_text(text)
        before = {path.name for path in tmp_path.iterdir()}
        answer = r1(*command, "--recipe", "my.yaml", *more)
        assert answer.exit_code == code, answer.stderr
        lines = answer.stderr.splitlines()
        assert len(lines) == 1, answer.stderr
        assert re.match(r"error: (?![A-Z][a-z])", lines[0])
        assert {path.name for path in tmp_path.iterdir()} == before  # no run directory
        return lines[0].removeprefix("error: ")

    return call


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        # keys
        ("model:", "modle:", ["'modle'", "my.yaml:1", "'model'"]),
        ("args: {size", "argz: {size", ["'dataset.argz'", "my.yaml:2", "'args'"]),
        ("prompts_per_step", "prompt_per_step", ["'batch.prompt_per_step'", ":7", "per_step'"]),
        ("weight: 0.1", "wieght: 0.1", ["'rewards.1.wieght'", "my.yaml:5", "'weight'"]),
        ("callbacks: []", "zzz: 1", ["'zzz'", "my.yaml:9", "known here: name, seed, model"]),
        # names
        ("grpo", "grpoo", ["'grpoo'"]),
        ("name: accuracy", "name: acuracy", ["reward 'acuracy'", "my.yaml:4", "'accuracy'"]),
        ("chain_sums", "chain_sum", ["dataset 'chain_sum'", "my.yaml:2", "'chain_sums'"]),
        ("r1_tiny_blank", "r1_tiny_blan", ["'r1_tiny_blan'", "my.yaml:1", "'r1_tiny_blank'"]),
        ("r1_tiny_blank", "./no/such", ["'./no/such'", "no directory, no hub id"]),
        ("r1_tiny_blank", "a/b/c", ["'a/b/c'", "no directory, no hub id"]),
        ("name: local", "name: locl", ["launcher 'locl'", "my.yaml:8", "'local'"]),
        ("[]", "[{name: consol}]", ["callback 'consol'", "my.yaml:9", "'console'"]),
        # arguments
        ("mode: soft", "mod: soft", ["reward 'format'", "'mod'", "my.yaml:5", "'mode'"]),
        ("size: 8", "sise: 8", ["dataset 'chain_sums'", "'sise'", "my.yaml:2", "'size'"]),
        ("_blank", "_blank, args: {sed: 1}", ["model 'r1_tiny_blank'", "'sed'", "'seed'"]),
        ("_blank", "_blank/x, args: {a: 1}", ["takes no args", "my.yaml:1"]),
        ("name: local", "name: local, args: {prt: 1}", ["launcher 'local'", "'prt'", "none"]),
        # types and ranges
        ("accuracy}", "accuracy, args: {float_tolerance: big}}", ["'float_tolerance' = 'big'"]),
        ("mode: soft", "mode: softt", ["'mode' = 'softt'", "'strict' or 'soft'"]),
        ("size: 8", "size: 2020-01-01", ["'size'", "valid integer"]),
        ("group_size: 2", "group_size: two", ["batch.group_size = 'two'", "my.yaml:7"]),
        ("prompts_per_step: 4", "prompts_per_step: 0", ["batch.prompts_per_step = 0"]),
        ("weight: 0.1", "weight: .nan", ["rewards.1.weight = nan", "my.yaml:5"]),
        ("{name: local}", "{processes: 0}", ["launch.processes = 0", "my.yaml:8"]),
        ("{name: local}", "local", ["launch at my.yaml:8", "it takes: name, args, accel"]),
        ("{name: grpo, args: {max_steps: 1}}", "grpo", ["trainer at my.yaml:6", "name, args"]),
        ("model: {name: r1_tiny_blank}", "model:", ["model at my.yaml:1 has no keys"]),
        ("{name: r1_tiny_blank}", "{}", ["missing key 'model.name'", "my.yaml:1"]),
        ("callbacks: []", "seed: -1", ["seed = -1 at my.yaml:9"]),
        ("callbacks: []", "name: ../../up", ["'../../up'", "my.yaml:9", "letters, digits"]),
        # datasets
        ("size: 8", "size: 0", ["size=0"]),
        ("{name: chain_sums, args: {size: 8}}", "{}", ["dataset", "either name or mixture"]),
        ("{name: chain", "{mixture: [{name: x}], name: chain", ["either name or mixture"]),
        (
            "{name: chain_sums, args: {size: 8}}",
            MIXTURE.replace("0.5", "2"),
            ["weight 2", "oversample"],
        ),
        ("{name: chain_sums, args: {size: 8}}", MIXTURE.replace("weig", "wieg"), ["'weight'"]),
        # rewards
        ("format, weight: 0.1, args: {mode: soft}", "accuracy", ["'accuracy' is listed twice"]),
    ],
)
def test_a_wrong_word_is_named_with_its_line_and_what_works(refused, old, new, parts):
    line = refused(changed(old, new))
    assert [part for part in parts if part not in line] == [], line


@pytest.mark.parametrize(
    ("item", "parts"),
    [
        ("{name: math500}", ["benchmark 'math500'", "my.yaml:10", "'math_500'"]),
        ("{name: math_500, args: {temprature: 0}}", ["'temprature'", "'temperature'"]),
        ("{name: math_500, args: {temperature: hot}}", ["'temperature' = 'hot'", ":10"]),
        ("{name: math_500, args: {n: 0}}", ["n 0 is not 1 or more", "my.yaml:10"]),
        ("{name: math_500, args: {top_p: 1.5}}", ["top_p 1.5"]),
        ("{name: math_500, limit: 0}", ["benchmarks.0.limit = 0"]),
        ("{name: math_500, data: none.jsonl}", ["no file none.jsonl", "my.yaml:10"]),
    ],
)
def test_a_wrong_benchmark_is_known_before_training(refused, item, parts):
    line = refused(GOOD + f"benchmarks: [{item}]\n")
    assert [part for part in parts if part not in line] == [], line


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("max_steps: 1", "max_step: 1", ["'max_step'", "my.yaml:6", "'max_steps'"]),
        ("max_steps: 1", "max_steps: many", ["trainer.args.max_steps (my.yaml:6) = 'many'"]),
        ("max_steps: 1", "output_dir: x", ["trainer.args.output_dir", "run directory"]),
        ("max_steps: 1", "per_device_train_batch_size: 3", ["is derived from batch"]),
        ("group_size: 2", "group_size: 1", ["batch.group_size", "= 1 cannot work"]),
        ("group_size: 2", "group_size: 2, micro_batch: 3", ["micro_batch 3", "1, 2, 4 would work"]),
        ("{name: local}", "{processes: 3}", ["3 processes", "prompts_per_step 3 would work"]),
    ],
)
def test_the_trainers_own_arguments_are_checked_too(refused, old, new, parts):
    pytest.importorskip("trl", reason="GRPOConfig is TRL's")
    line = refused(changed(old, new))
    assert [part for part in parts if part not in line] == [], line


def test_grpo_without_rewards(refused):
    line = refused(re.sub(r"rewards:\n.*\n.*\n", "rewards: []\n", GOOD))
    assert "rewards (my.yaml:3) is empty" in line


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (GOOD + "x: [1, 2\ny: }\n", ["my.yaml:11", "well-formed"]),
        (GOOD + "x:\n\t- 1\n", ["my.yaml:11"]),
        (GOOD + "x: !!python/object/apply:os.system [touch pwned]\n", ["my.yaml:10", "safe"]),
        (GOOD + "x: !!python/name:os.system\n", ["my.yaml:10", "safe"]),
        (GOOD + "x: !mine 1\n", ["my.yaml:10", "!mine"]),
        (GOOD + "seed: 1\nseed: 2\n", ["my.yaml:11", "'seed' is given twice"]),
        (changed("mode: soft", "mode: soft, mode: strict"), ["my.yaml:5", "'mode'"]),
        (GOOD + "? [a, b]\n: 1\n", ["my.yaml:10", "key"]),
        (GOOD + "---\nseed: 1\n", ["my.yaml:10"]),
        (GOOD + "name: &a [*a]\n", ["holds itself"]),
        (GOOD + "x: " + "[" * 3000 + "]" * 3000, ["nested too deeply"]),
        (GOOD + "x: 2020-13-45\n", ["cannot be read"]),
        (GOOD + "x: a\0b\n", ["my.yaml:10", "character"]),
        ("- a\n- b\n", ["no recipe", "model, dataset, trainer"]),
        ("hello", ["no recipe"]),
        ("", ["no recipe"]),
        ("# only a comment\n", ["no recipe"]),
    ],
)
def test_yaml_that_is_none(refused, tmp_path, text, parts):
    line = refused(text)
    assert [part for part in parts if part not in line] == [], line
    assert not (tmp_path / "pwned").exists()


def test_aliases_that_would_grow_to_billions_are_refused_quickly(refused):
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 10)]
    started = time.process_time()
    assert "more than 100000 values" in refused("\n".join(rows))
    assert time.process_time() - started < 10


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("none.yaml", ["'none.yaml'", "no such file and no shipped recipe"]),
        ("tiny/grop", ["'tiny/grop'", "'tiny/grpo'"]),
        ("folder", ["folder is a folder"]),
        ("x" * 5000, ["no such file"]),
        ("binary.yaml", ["binary.yaml is not UTF-8 text"]),
        ("locked.yaml/x", ["no such file"]),
    ],
)
def test_a_recipe_file_that_is_none(r1, tmp_path, name, parts):
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary.yaml").write_bytes(b"\x00\xff\xfe\x80")
    (tmp_path / "locked.yaml").write_text(GOOD)
    answer = r1("train", "grpo", "--recipe", name)
    assert answer.exit_code == 2
    assert len(answer.stderr.splitlines()) == 1
    assert [part for part in parts if part not in answer.stderr] == [], answer.stderr
    assert not (tmp_path / "runs").exists()


def test_recipe_check_says_the_same(r1, tmp_path):
    (tmp_path / "my.yaml").write_text(changed("name: accuracy", "name: acuracy"))
    answer = r1("recipe", "check", "my.yaml")
    assert answer.exit_code == 2
    assert answer.stderr.startswith("error: no reward 'acuracy' at rewards.0.name (my.yaml:4)")


def test_a_recipe_for_another_trainer(refused):
    line = refused(GOOD, command=("train", "sft"))
    assert "is a recipe for 'grpo', not 'sft'" in line
    assert "r1 train grpo --recipe my.yaml" in line


def test_no_such_trainer_on_the_command_line(refused):
    assert "no trainer 'grpoo'; did you mean 'grpo'?" in refused(GOOD, command=("train", "grpoo"))


def test_a_pipeline_given_to_train_and_a_recipe_given_to_pipeline(refused):
    line = refused("stages: [{recipe: sft}]\n")
    assert "is a pipeline; run it with: r1 pipeline --recipe my.yaml" in line
    assert "r1 train" in refused(GOOD, command=("pipeline",))


# -- --set -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assignment", "parts"),
    [
        ("nothing", ["'nothing'", "dotted.key=value"]),
        ("=1", ["'=1'", "dotted.key=value"]),
        ("trainr.args.beta=1", ["'trainr' at --set", "'trainer'"]),
        ("model.nme=x", ["'model.nme' at --set", "'name'"]),
        ("model={nme: x}", ["'model.nme' at --set", "'name'"]),
        ("rewards.7.weight=1", ["rewards is a list of 2 items", "'7'"]),
        ("rewards.first.weight=1", ["rewards is a list of 2 items", "'first'"]),
        ("rewards.2={name: x}", ["rewards is a list of 2 items", "'2'"]),
        ("model.name.x.y=1", ["model.name is 'r1_tiny_blank'"]),
        ("rewards.0.weight=heavy", ["rewards.0.weight = 'heavy' at --set"]),
        ("rewards.0.name=acuracy", ["'acuracy'", "(--set)", "'accuracy'"]),
        ("seed=[1", ["--set seed", "well-formed"]),
        ("seed=!!python/object/apply:os.system [touch pwned]", ["--set seed", "safe"]),
    ],
)
def test_a_wrong_override_is_named(refused, tmp_path, assignment, parts):
    line = refused(GOOD, "--set", assignment)
    assert [part for part in parts if part not in line] == [], line
    assert not (tmp_path / "pwned").exists()


# -- data ------------------------------------------------------------------------------------------


def data(tmp_path, text, columns=""):
    (tmp_path / "rows.jsonl").write_text(text)
    columns = f", columns: {{{columns}}}" if columns else ""
    new = f"{{name: file, args: {{path: rows.jsonl}}{columns}}}"
    return changed("{name: chain_sums, args: {size: 8}}", new)


def test_a_column_that_a_reward_wants(refused, tmp_path):
    line = refused(data(tmp_path, '{"prompt": "1+1", "gold": "2"}\n'))
    assert "reward 'accuracy' wants column 'solution'" in line
    assert "the dataset has prompt, gold" in line
    assert "dataset.columns: {solution: ...}" in line


def test_a_column_to_rename_that_is_not_there(refused, tmp_path):
    line = refused(data(tmp_path, '{"prompt": "1+1", "gold": "2"}\n', "solution: gld"))
    assert "no column 'gld' for 'solution'" in line
    assert "'gold'" in line


def test_a_dataset_without_rows(refused, tmp_path):
    assert "rows.jsonl" in refused(data(tmp_path, ""))


# -- what is missing -------------------------------------------------------------------------------


def test_a_missing_extra_exits_3_with_the_line_that_installs_it(refused, monkeypatch):
    real = importlib.util.find_spec
    hidden = {"trl"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n in hidden else real(n, *a)
    )
    line = refused(GOOD, code=3)
    assert line == "trl is not installed; run: pip install 'r1cli[train]'"
