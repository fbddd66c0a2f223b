import pytest

from r1cli.errors import MissingExtra, PluginError, UsageError
from r1cli.registry import NAME, TARGET, Entry, Registry


def entry(name, plugin, *, builtin=False, target=len):
    return Entry("rewards", name, target, "", plugin, builtin)


def registry(*entries):
    made = Registry("rewards")
    for one in entries:
        made.add(one)
    return made


def test_a_name_is_found_bare_and_qualified():
    one = entry("brief", "r1-x")
    rewards = registry(one)
    assert rewards.get("brief") is rewards.get("r1-x/brief") is one
    assert "brief" in rewards
    assert "r1-x/brief" in rewards
    assert "r1-y/brief" not in rewards


def test_a_built_in_owns_its_name_whatever_the_order():
    ours, theirs = entry("brief", "r1_rewards", builtin=True), entry("brief", "r1-x")
    for rewards in registry(ours, theirs), registry(theirs, ours):
        assert rewards.get("brief") is ours
        assert rewards.get("r1-x/brief") is theirs
        assert rewards.names() == ["brief", "r1-x/brief"]


def test_a_name_of_two_plugins_is_ambiguous():
    rewards = registry(entry("brief", "r1-y"), entry("brief", "r1-x"), entry("short", "r1-x"))
    assert rewards.names() == ["r1-x/brief", "r1-y/brief", "short"]
    with pytest.raises(UsageError) as error:
        rewards.get("brief", "rewards.0.name")
    assert str(error.value) == (
        "reward 'brief' at rewards.0.name is ambiguous; say one of: r1-x/brief, r1-y/brief"
    )


def test_every_listed_name_works():
    rewards = registry(
        *(entry("brief", plugin) for plugin in ("r1-x", "r1-y")),
        entry("accuracy", "r1_rewards", builtin=True),
        entry("accuracy", "r1-x"),
    )
    assert len({rewards.get(name).qualified for name in rewards.names()}) == 4
    assert [rewards.name_of(rewards.get(name)) for name in rewards.names()] == rewards.names()


def test_an_unknown_name_is_told_the_nearest_one():
    rewards = registry(entry("accuracy", "r1_rewards", builtin=True))
    rewards.hint = " (a plugin that failed to load may provide it: r1-x)"
    with pytest.raises(UsageError) as error:
        rewards.get("acuracy", "rewards.0.name")
    assert str(error.value) == (
        "no reward 'acuracy' at rewards.0.name; did you mean 'accuracy'?"
        " (a plugin that failed to load may provide it: r1-x)"
    )


def test_an_empty_registry_says_so():
    with pytest.raises(UsageError, match=r"^no reward 'x'; none is known$"):
        registry().get("x")


def test_one_plugin_registers_a_name_once():
    with pytest.raises(PluginError, match="reward 'brief' is registered twice"):
        registry(entry("brief", "r1-x"), entry("brief", "r1-x"))


def test_a_target_is_a_thing_or_where_it_is():
    assert entry("x", "p", target=max).load() is max
    assert entry("x", "p", target="operator:add").load()(1, 2) == 3


@pytest.mark.parametrize("target", ["no_such_module:x", "operator:no_such_thing", "json.x:y"])
def test_a_target_that_is_not_there_names_the_plugin(target):
    with pytest.raises(PluginError, match="reward 'x' of plugin 'p' could not be loaded from"):
        entry("x", "p", target=target).load()


def test_a_missing_extra_stays_one(fake_distribution):
    source = "from r1cli import require\n\nrequire('train', 'no_such_package')\n"
    fake_distribution("r1-extra", source, plugin="")
    with pytest.raises(MissingExtra, match="no_such_package is not installed"):
        entry("x", "p", target="r1_extra:x").load()


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (NAME, ["a", "math_500", "r1"], ["", "A", "1a", "_a", "a-b", "a.b", "a\n", "é"]),
        (TARGET, ["a:b", "a.b_c:D"], ["", "a", "a:", ":b", "a:b:c", "a.:b", "a b:c", "a/b:c"]),
    ],
)
def test_what_a_name_and_a_target_look_like(pattern, good, bad):
    assert [text for text in good if not pattern.fullmatch(text)] == []
    assert [text for text in bad if pattern.fullmatch(text)] == []
