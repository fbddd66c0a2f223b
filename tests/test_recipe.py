import pytest

from r1cli import recipe_file as recipes
from r1cli import source
from r1cli.errors import UsageError
from r1cli.recipe import Launch

MINIMAL = "model: {name: m}\ndataset: {name: d}\ntrainer: {name: grpo}\n"


@pytest.fixture
def write(tmp_path):
    def write(text=MINIMAL, name="my.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def load(path, *overrides):
    return recipes.load(str(path), overrides)


def test_what_is_not_said_has_a_default(write):
    loaded = load(write())
    assert (loaded.seed, loaded.rewards) == (0, [])
    assert loaded.launch == Launch(name="local", accelerator="single", processes=1)
    assert [callback.name for callback in loaded.callbacks] == ["console"]


def test_the_name_is_the_folder_and_the_file_unless_given(write):
    assert load(write(name="tiny/grpo.yaml")).name == "tiny-grpo"
    assert load(write(MINIMAL + "name: own\n")).name == "own"
    assert load(write(), "name=other").name == "other"


@pytest.mark.parametrize("name", ["a", "Qwen2.5-1.5B_x+y", "3-sft", "über"])
def test_names_that_can_be_a_folder(write, name):
    assert load(write(), f"name={name}").name == name


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "-x", "a b", "'a\\0'"])
def test_names_that_cannot(write, name):
    with pytest.raises(UsageError, match="at --set cannot name a run directory"):
        load(write(), f"name={name}" if "\\" not in name else 'name="a\\0"')


def test_a_recipe_is_frozen(write):
    with pytest.raises(ValueError, match="frozen"):
        load(write()).seed = 2


def test_resolving_twice_changes_nothing(write):
    text = MINIMAL + "system_prompt: '2e-6'\nrewards: [{name: a, args: {x: [1, {y: 1e-9}]}}]\n"
    first = source.dump(load(write(text)).model_dump(mode="json"))
    again = source.dump(load(write(first, "again.yaml")).model_dump(mode="json"))
    assert again == first
    assert "&" not in first  # no aliases: a resolved recipe is read by people


def test_where_names_the_key_the_file_and_the_line(write):
    path = write(MINIMAL + "rewards:\n  - {name: a}\n")
    assert load(path).where("rewards", 0, "name") == f"rewards.0.name ({path}:5)"
    assert load(path, "rewards.0.name=b").where("rewards", 0, "name") == "rewards.0.name (--set)"
    copy = load(path).model_copy(update={"seed": 3})
    assert copy.where("trainer") == f"trainer ({path}:3)"


def test_all_problems_are_counted_and_the_misspelt_key_comes_first(write):
    with pytest.raises(UsageError, match=r"unknown key 'modl' .*'model'\? \(and 2 more\)"):
        load(write("modl: {name: m}\ndataset: {name: d}\n"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("on: slurm", "key True in .*yaml:1 is no text: put it in quotes"),
        ("launch: {args: {1: 2}}", r"key 1 in .*yaml:4 is no text"),
        ("seed: 4294967296", "seed = 4294967296 at .*: input should be less than 4294967296"),
    ],
)
def test_what_yaml_reads_as_something_else_is_refused(write, line, said):
    with pytest.raises(UsageError, match=said):
        load(write(MINIMAL + line + "\n"))


def test_a_mixture_has_items_with_weights(write):
    path = write(MINIMAL.replace("{name: d}", "{mixture: [{name: a}, {name: b, weight: 0.25}]}"))
    assert [(item.name, item.weight) for item in load(path).dataset.items] == [
        ("a", 1.0),
        ("b", 0.25),
    ]


# -- found -----------------------------------------------------------------------------------------


def test_a_recipe_is_found_by_path_beside_another_and_by_shipped_name(write, monkeypatch):
    monkeypatch.chdir(write().parent)
    assert recipes.find("my.yaml").name == "my.yaml"
    beside = write(name="sub/pipeline.yaml")
    near = write(name="sub/near.yaml")
    assert recipes.find("near", beside=beside) == recipes.find("near.yaml", beside=beside) == near
    shipped = recipes.shipped()["tiny/grpo"]
    assert recipes.find("tiny/grpo") == recipes.find("tiny/grpo.yaml") == shipped


def test_a_file_hides_a_shipped_name(write, monkeypatch):
    mine = write(name="tiny/grpo")
    monkeypatch.chdir(mine.parent.parent)
    assert recipes.find("tiny/grpo").resolve() == mine


def test_a_pipeline_is_known_by_its_stages(write):
    path = write("stages: [{recipe: sft}, {recipe: grpo, set: {seed: 3}}]\n")
    assert recipes.is_pipeline(path) and not recipes.is_pipeline(write(name="other.yaml"))
    loaded = recipes.load_pipeline(str(path), ["seed=7", "stages.1.set.batch.micro_batch=2"])
    assert loaded.seed == 7
    assert loaded.stages[1].set == {"seed": 3, "batch.micro_batch": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stages: []\n", "stages at .*at least 1"),
        ("stages: [{recpe: sft}]\n", "unknown key 'stages.0.recpe' .*'recipe'"),
        ("stages: [sft]\n", "stages.0 at .* has no keys; it takes: recipe, set"),
        ("stage: [{recipe: sft}]\nstages:\n", "unknown key 'stage' .*'stages'"),
    ],
)
def test_a_wrong_pipeline_is_refused(write, text, said):
    with pytest.raises(UsageError, match=said):
        recipes.load_pipeline(str(write(text)))
