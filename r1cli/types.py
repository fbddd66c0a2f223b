"""The words that plugins and the core share. Nothing here is heavy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from concurrent.futures import Future

Message = dict[str, str]
"""A chat message: `role` (system, user or assistant) and `content`."""

Prompt = str | list[Message]
"""What the policy is given. A string is sent as it is; messages go through the chat template."""


class Completion(str):
    """What the policy produced for one prompt, as the full text a reader would see.

    It is a `str`, so a reward may treat it as text. `prefill` is the part of that text which the
    chat template wrote itself (DeepSeek-R1-Distill and Qwen3-Thinking open `<think>` in the
    prompt): it is included, so that a format reward sees the same text for every template.
    """

    prefill: str
    tokens: int
    truncated: bool

    def __new__(
        cls, text: str, *, prefill: str = "", tokens: int = 0, truncated: bool = False
    ) -> Completion:
        """`text` is what was sampled; `tokens` counts it; `truncated` means no EOS was reached."""
        self = super().__new__(cls, prefill + text)
        self.prefill, self.tokens, self.truncated = prefill, tokens, truncated
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        sampled = str(self)[len(self.prefill) :]
        return (sampled,), {
            "prefill": self.prefill,
            "tokens": self.tokens,
            "truncated": self.truncated,
        }

    @property
    def reasoning(self) -> str:
        """The text inside `<think>`; all that follows the tag when it was never closed."""
        before, opened, after = self.partition("<think>")
        inside = (after if opened else before).partition("</think>")
        return inside[0] if opened or inside[1] else ""

    @property
    def answer(self) -> str:
        """The text after the last `</think>`; empty while a `<think>` is open, again or still."""
        tail = self.rpartition("</think>")[2]
        return "" if "<think>" in tail else tail


@dataclass(frozen=True)
class Sampling:
    """How an engine samples. Temperature 0 is greedy, whatever `n`."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 512
    n: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature {self.temperature} is not 0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p {self.top_p} is not above 0 and at most 1")
        for name, least in (("top_k", 0), ("max_tokens", 1), ("n", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} {getattr(self, name)} is not {least} or more")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """How one reward call ended for one completion; the three ways are never conflated.

    score           `value` is a float
    not_applicable  the reward cannot judge this row (its gold does not parse, say)
    failed          infrastructure broke; says nothing about the completion
    """

    status: Literal["score", "not_applicable", "failed"]
    value: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Benchmark:
    """A named problem set with its prompt, default sampling and scorer; no model inside.

    `dataset` names a registered dataset and its arguments. `prepare(rows, **prepare_args)` makes
    problems of its rows where they are not such already. `columns` says, for each column that
    the prompt or the scorer needs, the names it goes by in the wild, best first; empty keeps all
    as they are. `prompt` is a format string over a row's columns, `prefill` what every answer is
    made to begin with (`<think>\\n`): part of it, and not sampled. `scorer` names a reward,
    `measures` further rewards whose mean is reported beside the score. `votes` is false where
    equal answers are no agreement (programs): there is no maj@n then. `citation` says where
    problems, prompt and scoring come from.

    What is registered may also be a function from the part of a name after a colon to a Benchmark:
    `reasoning_gym:chain_sum`.
    """

    dataset: str
    args: Mapping[str, Any]
    prompt: str
    scorer: str
    citation: str
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    prepare: Callable[..., Iterable[Mapping[str, Any]]] | None = None
    prepare_args: Mapping[str, Any] = field(default_factory=dict)
    scorer_args: Mapping[str, Any] = field(default_factory=dict)
    measures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    system_prompt: str | None = None
    prefill: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    votes: bool = True


class Reward(Protocol):
    """A reward: data comes positionally or by column name, arguments are keyword-only."""

    def __call__(
        self, completions: list[Completion], *args: Any, **kwargs: Any
    ) -> list[float | None]: ...


class Engine(Protocol):
    """Turns prompts into completions. A context manager: entering loads, leaving frees."""

    def __enter__(self) -> Engine: ...

    def __exit__(self, *exc: object) -> None: ...

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Completion]]:
        """`sampling.n` completions per prompt, in the order of the prompts."""
        ...


@dataclass(frozen=True)
class Draw:
    """One completion that is asked for, with a seed of its own."""

    prompt: Prompt
    seed: int


@dataclass(frozen=True)
class Drawn:
    """What came of draw number `position`: a completion, or the error why there is none.

    `seconds` is how long it took; `usage` what a server counted: prompt_tokens, completion_tokens.
    0 and nothing where they are not known.
    """

    position: int
    completion: Completion | None = None
    error: Exception | None = None
    seconds: float = 0.0
    usage: Mapping[str, int] = field(default_factory=dict)


class StreamingEngine(Engine, Protocol):
    """An engine that hands out each completion as soon as it is there."""

    def stream(self, draws: Iterable[Draw], sampling: Sampling) -> Iterator[list[Drawn]]:
        """One sample per draw, as they come, whatever is there together in one list.

        `draws` is taken from as there is room, from any thread; `sampling.n` and its seed say
        nothing here. What goes wrong with one draw is its `error`; what is raised ends them all,
        after every completion that was there was handed out.
        """
        ...


@dataclass(frozen=True)
class Job:
    """One `r1` command to be started somewhere: its arguments, processes and run directory."""

    argv: Sequence[str]
    processes: int
    accelerator: str
    directory: Path


class Pool(Protocol):
    """Where batches are worked on, `size` at a time; what with, who opens it has said."""

    @property
    def size(self) -> int: ...

    def submit(self, sent: Any) -> Future[Any]: ...


class Launcher(Protocol):
    """Starts a job. `command` is pure: it is what `--dry-run` prints.

    With `pool(function, shared)`, a context manager that gives a `Pool`, it also works on batches
    of a command that runs where it was typed: `function(shared, sent)` for each.
    """

    def command(self, job: Job) -> list[str]: ...

    def submit(self, job: Job) -> int:
        """Start the job, wait for it where that makes sense, return its exit code."""
        ...
