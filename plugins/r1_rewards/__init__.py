"""The rewards of the R1 recipe that need nothing but text: one file each."""

from r1cli import hookimpl


@hookimpl
def register_rewards(register):
    register(
        "accuracy",
        "r1_rewards.accuracy:accuracy",
        help="1 when the declared final answer equals the gold `solution`",
    )
    register(
        "format",
        "r1_rewards.format:format",
        help="1 when the whole text is <think>..</think><answer>..</answer>, or your own tags",
    )
    register(
        "tag_count",
        "r1_rewards.tag_count:tag_count",
        help="share of the expected tags that occur exactly once",
    )
    register(
        "countdown",
        "r1_rewards.countdown:countdown",
        help="1 when the equation reaches `target` with every one of `numbers` used once",
    )
