"""One attempt at a problem: what was asked, of whom, what came, how it was judged."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

from r1cli.problem import problem_hash
from r1cli.types import Completion, Outcome, Prompt, Sampling

Source = Literal["generate", "pass_rate", "eval", "rollout"]

USAGE = ("prompt_tokens", "completion_tokens")
PLAIN = "text"
"""The role, in the file, of a prompt that is plain text and no conversation."""

KEY_DIGITS = 32
"""Hex digits of a key: 128 bits, which no two of the world's prompts share by chance."""


@dataclass(frozen=True)
class Attempt:
    """One completion with all that decided it. Hashes are hex digits, times seconds.

    No field is ever null, so that files of many writers have one schema.

    problem       `problem_hash` of the dataset's own prompt: the same under every prompt template
    prompt        `problem_hash` of what the engine was given, system prompt and all
    messages      that prompt itself
    model         `model_key` of the weights; `model_name` and `revision` as they were asked for
    sampler       `sampler_key`: the engine, the weights, the arguments that decide what is drawn
    sampling      `canonical(sampling)`: temperature, top_p, top_k, max_tokens, seed
    index         which of the samples of this key, from 0
    text          all that a reader sees, with the `prefill` that the chat template wrote
    finish_reason `stop`, or `length` where no end was reached
    seconds       from question to answer; 0 where nobody measured
    usage         prompt_tokens and completion_tokens as a server counted them; 0 where none did
    rewards       by the name and the spec of each judgement; see `Judgement`
    """

    problem: str
    prompt: str
    messages: Prompt
    model: str
    model_name: str
    revision: str
    engine: str
    sampler: str
    sampling: Mapping[str, Any]
    index: int
    text: str
    prefill: str = ""
    tokens: int = 0
    finish_reason: Literal["stop", "length"] = "stop"
    seconds: float = 0.0
    usage: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(USAGE, 0))
    source: Source = "generate"
    created: float = field(default_factory=lambda: round(time.time(), 3))
    rewards: tuple[Judgement, ...] = ()

    @cached_property
    def key(self) -> str:
        """What attempts that may stand for each other have in common; see `attempt_key`."""
        return attempt_key(self.prompt, self.sampler, self.sampling)

    @property
    def id(self) -> str:
        """The attempt's address: its key and index. Of two with one address the first counts."""
        return f"{self.key}-{self.index}"

    @property
    def completion(self) -> Completion:
        return Completion(
            self.text[len(self.prefill) :],
            prefill=self.prefill,
            tokens=self.tokens,
            truncated=self.finish_reason == "length",
        )

    def outcome(self, reward: str, spec: str | None = None) -> Outcome | None:
        """How a reward judged it, the latest time; None where it did not, or under another spec."""
        for judged in reversed(self.rewards):
            if judged.reward == reward and spec in (None, judged.spec):
                return judged.outcome
        return None

    def to_row(self) -> dict[str, Any]:
        """As stored: the address first, and no rewards, which have rows of their own."""
        row = {name: getattr(self, name) for name in FIELDS}
        if isinstance(self.messages, str):  # one type for all, as Arrow wants it
            row["messages"] = [{"role": PLAIN, "content": self.messages}]
        return {"key": self.key, **row}

    @classmethod
    def from_row(cls, row: Mapping[str, Any], rewards: tuple[Judgement, ...] = ()) -> Attempt:
        """The attempt of a stored row; fields that it does not know are passed over."""
        known = {name: row[name] for name in FIELDS if name in row}
        if known["messages"][0]["role"] == PLAIN:
            known["messages"] = known["messages"][0]["content"]
        return cls(**known, rewards=rewards)


FIELDS = ("index", *(f.name for f in fields(Attempt) if f.name not in ("index", "rewards")))


@dataclass(frozen=True)
class Judgement:
    """What one reward said of the attempt `key`-`index`.

    `spec` hashes the reward's arguments and the columns that it read (`reward_spec`): a score under
    another gold answer or another argument is another judgement. `text_hash` is that of what was
    judged: two processes may have drawn one index at a time, and the first text counts.
    """

    key: str
    index: int
    reward: str
    spec: str
    status: Literal["score", "not_applicable", "failed"]
    value: float | None = None
    reason: str = ""
    text_hash: str = ""

    @classmethod
    def of(cls, attempt: Attempt, reward: str, spec: str, outcome: Outcome) -> Judgement:
        judged = {**asdict(outcome), "text_hash": text_hash(attempt.text)}
        return cls(attempt.key, attempt.index, reward, spec, **judged)

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.status, self.value, self.reason)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Judgement:
        """The judgement of a stored row; fields that it does not know are passed over."""
        return cls(**{f.name: row[f.name] for f in fields(cls) if f.name in row})


def _needed(kind: type[Attempt | Judgement]) -> frozenset[str]:
    unset = (MISSING, MISSING)
    return frozenset(f.name for f in fields(kind) if (f.default, f.default_factory) == unset)


NEEDED = {"attempts": _needed(Attempt), "rewards": _needed(Judgement)}
"""By the folder of the rows: the fields without which a line is no row."""


def text_hash(text: str) -> str:
    """Of a text as the store has it, which is UTF-8."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def canonical(sampling: Sampling | Mapping[str, Any]) -> dict[str, Any]:
    """All of a sampling that decides what one sample is: not `n`, and for greedy only the limit."""
    given = dict(sampling) if isinstance(sampling, Mapping) else sampling.to_dict()
    kept = {name: given[name] for name in ("temperature", "top_p", "top_k", "max_tokens", "seed")}
    if kept["temperature"] == 0:
        kept |= {"top_p": 1.0, "top_k": 0, "seed": 0}
    return kept


def attempt_key(prompt: str, sampler: str, sampling: Sampling | Mapping[str, Any]) -> str:
    """What makes two attempts interchangeable: the hash of the prompt, the sampler, the sampling.

    `prompt` is `problem_hash` of the messages, `sampler` a `sampler_key`. How many samples are
    asked for is no part of it: who asks for 8 after 4 finds 4.
    """
    text = json.dumps([prompt, sampler, canonical(sampling)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def reward_spec(args: Mapping[str, Any], columns: Mapping[str, Any]) -> str:
    """Of a judgement: the reward's arguments, and the one row's columns that it read."""
    return problem_hash([{k: repr(v) for k, v in sorted(args.items())}, _plain(columns)])


def _plain(columns: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(dict(columns), sort_keys=True, default=str))
