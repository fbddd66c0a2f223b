"""Completions that a policy might write, for the contract of a reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from r1cli.types import Completion

HUGE = 100_000  # characters

_WRITTEN = {
    "What is 2 + 4? Answer in English.": (
        r"<think>Two and four are added, which gives six.</think>The answer is $\boxed{6}$.",
        "<think>\nI count on from four.\n</think>\n<answer>\n7\n</answer>",
        "<think>Two and four. Two and four. Two and four. Wait, let me start again",
        "First, I take two. Then, I add four. So the sum of both numbers is 6",
    ),
    "A box holds 3 rows of 4 eggs. How many eggs are there?": (
        r"<think>3 * 4 = 12</think>There are \boxed{12} eggs.",
        "#### 12",
        "Douze, parce que trois fois quatre font douze.",
        "```python\nprint(3 * 4)\n```",
    ),
    "Which number follows 6?": (
        "<think>six, seven</think><answer>7</answer>",
        "7",
        "It is 8.",
        r"<think>\boxed{7}</think>",
    ),
}


@dataclass(frozen=True)
class Batch:
    """Completions with their prompts, and columns with one value per completion."""

    completions: tuple[Completion, ...]
    prompts: tuple[str, ...]
    columns: Mapping[str, tuple[Any, ...]]

    def __len__(self) -> int:
        return len(self.completions)

    def take(self, indices: Sequence[int]) -> Batch:
        return Batch(
            tuple(self.completions[i] for i in indices),
            tuple(self.prompts[i] for i in indices),
            {name: tuple(values[i] for i in indices) for name, values in self.columns.items()},
        )

    def groups(self) -> list[list[int]]:
        """The indices of the completions of each prompt."""
        found: dict[str, list[int]] = {}
        for index, prompt in enumerate(self.prompts):
            found.setdefault(prompt, []).append(index)
        return list(found.values())

    def with_column(self, name: str, values: Sequence[Any]) -> Batch:
        return replace(self, columns={**self.columns, name: tuple(values)})

    def with_completion(self, completion: Completion) -> Batch:
        """A batch of one completion with another text."""
        return replace(self, completions=(completion,))


def sample_batch(columns: Mapping[str, Sequence[Any]]) -> Batch:
    """Three prompts with four completions each; `columns` has one value per prompt, repeated."""
    completions, prompts = [], []
    filled: dict[str, list[Any]] = {name: [] for name in columns}
    for number, (prompt, texts) in enumerate(_WRITTEN.items()):
        for text in texts:
            completions.append(Completion(text, tokens=1 + len(text) // 4))
            prompts.append(prompt)
            for name, values in columns.items():
                filled[name].append(values[number % len(values)])
    return Batch(
        tuple(completions), tuple(prompts), {name: tuple(values) for name, values in filled.items()}
    )


def odd_completions() -> dict[str, Completion]:
    """What a policy writes when it is broken, or looks for a way around, by what it is."""
    texts = {
        "an empty completion": "",
        "white space": " \n\t\n ",
        "100,000 letters": "a" * HUGE,
        "100,000 characters of words": ("so we add " * HUGE)[:HUGE],
        "100,000 characters of opening brackets": "\\boxed{" * (HUGE // 7),
        "100,000 characters of tags": "<think></think>" * (HUGE // 15),
        "100,000 dollar signs": "$" * HUGE,
        "emoji and other planes": "\U0001f469\u200d\U0001f680 \U0001d7d4 \U00020000",
        "right-to-left marks": "\u202e6 = x\u202c \u05e9\u05e9 \u200f",
        "zero-width and combining characters": "\u200b6\u0301\u0301\ufeff",
        "look-alike digits": "\uff16 \u0666 \u2465",
        "control characters": "\x00\x07\x1b[31m6",
        "nested and unclosed tags": "<think><think>6</think><answer><answer>6</answer>",
        "an answer before the reasoning": "<answer>6</answer><think>",
        "Chinese": "\u597d\u7684\uff0c\u7b54\u6848\u662f\u516d\u3002" * 5,
    }
    found = {what: Completion(text, tokens=len(text) // 4) for what, text in texts.items()}
    found["a prefilled <think>"] = Completion("six</think>6", prefill="<think>\n", tokens=5)
    found["a truncated completion"] = Completion("<think>so", tokens=2, truncated=True)
    return found
