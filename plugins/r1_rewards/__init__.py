"""The rewards of the R1 recipe: one file each."""

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
    register(
        "rouge_l",
        "r1_rewards.rouge_l:rouge_l",
        help="how much of a gold text the answer says, in its order (ROUGE-L)",
    )
    register(
        "language_consistency",
        "r1_rewards.language_consistency:language_consistency",
        help="share of the words of the reasoning in the language of the prompt (DeepSeek-R1)",
    )
    register(
        "judge",
        "r1_rewards.judge:judge",
        help="the mark a language model gives by a rubric, over an OpenAI-compatible endpoint",
    )
