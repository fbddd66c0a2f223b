"""Among right answers, prefer the short ones; Kimi's reward against overthinking."""

from __future__ import annotations

from typing import Literal

from r1_rewards.accuracy import accuracy
from r1cli import Completion, Prompt, UsageError


def length(
    completions: list[Completion],
    prompts: list[Prompt],
    solution: list[str],
    *,
    unit: Literal["tokens", "characters"] = "tokens",
) -> list[float | None]:
    """0.5 for the shortest completion of a prompt down to -0.5 for the longest.

    A wrong answer gets the same, but never more than 0: being short does not pay for being wrong.
    Where all completions of a prompt are equally long, 0. Completions are compared with those of
    the same prompt only.

    Columns: `solution`, the gold answer as for `accuracy`; None where it cannot be read.

    Args:
        unit: what a length is counted in.

    Range: [-0.5, 0.5] or None. Source: Kimi k1.5 (arXiv 2501.12599, section 2.3.3). open-r1
    compares across prompts and counts an unreadable gold as right; neither is done here.

    Pays:
        right_last: the last declaration decides, so a text may correct itself; the right answer
            never counts before a wrong one.
        percent: where the gold has no sign, 18 and 18 % are one answer, as for math-verify.
        another_base: where the gold names no base, a base is a remark like a unit.
    """
    groups: dict[str, list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault(repr(prompt), []).append(index)
    correct = accuracy(completions, solution)
    rewards: list[float | None] = [None] * len(completions)
    for members in groups.values():
        sizes = {i: size(completions[i], unit) for i in members if correct[i] is not None}
        if not sizes:
            continue
        shortest, span = min(sizes.values()), max(sizes.values()) - min(sizes.values())
        for i, length_ in sizes.items():
            reward = 0.5 - (length_ - shortest) / span if span else 0.0
            rewards[i] = reward if correct[i] else min(0.0, reward)
    return rewards


def size(completion: str, unit: Literal["tokens", "characters"]) -> int:
    """Tokens sampled, or characters; plain text that was never sampled has characters only."""
    if unit == "tokens" and isinstance(completion, Completion):
        return tokens(completion)
    return len(completion)


def tokens(completion: Completion) -> int:
    """How many were sampled. Raises UsageError where nobody counted: no text is no token long."""
    if not completion.tokens and len(completion) > len(completion.prefill):
        raise UsageError(
            f"a completion of {len(completion)} characters comes without its number of tokens; "
            "add a column 'tokens', or count unit: characters where the reward has it"
        )
    return completion.tokens
