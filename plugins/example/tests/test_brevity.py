from r1_plugin_brevity import brevity


def test_at_most_max_chars_is_brief():
    assert brevity(["abc", "abcd", ""], max_chars=3) == [1.0, 0.0, 1.0]


def test_columns_of_the_dataset_are_ignored():
    assert brevity(["abc"], prompts=["?"], solution=["3"]) == [1.0]


def test_contract(reward_contract):
    reward_contract("brevity")
