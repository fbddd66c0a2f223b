"""The rewards of the R1 recipe that need nothing but text: one file each."""

from r1cli import Register, hookimpl


@hookimpl
def register_rewards(register: Register) -> None:
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
    register(
        "reasoning_steps",
        "r1_rewards.reasoning_steps:reasoning_steps",
        help="share of three steps that the text shows",
    )
    register(
        "length",
        "r1_rewards.length:length",
        help="short right answers over long ones, within a group (Kimi k1.5)",
    )
    register(
        "cosine",
        "r1_rewards.cosine:cosine",
        help="right or wrong, scaled by length along half a cosine",
    )
    register(
        "repetition_penalty",
        "r1_rewards.repetition_penalty:repetition_penalty",
        help="a penalty for repeated n-grams",
    )
    register(
        "soft_overlong_punishment",
        "r1_rewards.soft_overlong_punishment:soft_overlong_punishment",
        help="a penalty that grows towards the completion limit (DAPO)",
    )
    register(
        "qa_exact",
        "r1_rewards.qa_exact:qa_exact",
        help="1 when a short answer matches a gold one word for word (SQuAD)",
    )
