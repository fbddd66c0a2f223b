"""The rows of a dataset as prompts: a template, a system prompt, conversations as they are."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from r1cli.collecting import Ask
from r1cli.errors import UsageError, suggest
from r1cli.extras import require
from r1cli.generation.recipe import UUID, PromptKeys
from r1cli.problem import own, problem_hash
from r1cli.types import Message, Prompt

if TYPE_CHECKING:
    from datasets import Dataset

Row = Mapping[str, Any]
ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True)
class Item(Ask):
    """What is asked for one row, number `row` of the dataset, from 0; people are told from 1."""

    row: int
    uuid: str


class Prompts:
    """Each iteration renders the rows anew, one at a time: none of it is held.

    `shard` (i, n) takes the rows i, i + n, ...; a prompt that stands in the data twice is asked
    for samples of its own each time, in whichever shard.
    """

    def __init__(
        self,
        rows: Dataset,
        keys: PromptKeys,
        *,
        samples: int,
        uuid_column: str,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        self.rows, self.keys, self.samples = rows, keys, samples
        self.uuid_column, self.shard = uuid_column, shard
        self._user = _template(keys.template) if keys.template is not None else None
        if self._user is None and keys.column not in rows.column_names:
            raise UsageError(
                f"no column {keys.column!r} in the dataset; "
                f"{suggest(keys.column, rows.column_names)}; choose with --prompt-column"
            )
        if uuid_column not in (UUID, *rows.column_names):
            raise UsageError(
                f"no column {uuid_column!r} in the dataset, given as --uuid-column; "
                f"{suggest(uuid_column, rows.column_names)}"
            )

    def __len__(self) -> int:
        first, of = self.shard
        return len(range(first, len(self.rows), of))

    def __iter__(self) -> Iterator[Item]:
        seen: Counter[str] = Counter()
        first, of = self.shard
        for number, row in enumerate(self.rows):
            prompt = self._prompt(row, number)
            key = problem_hash(prompt)
            time, seen[key] = seen[key], seen[key] + 1
            if number % of != first:
                continue
            given = row.get(self.keys.column)  # beside a template it may hold anything
            problem = problem_hash(own(given) if isinstance(given, str | list) else prompt)
            named = row.get(self.uuid_column)
            if named in (None, ""):
                named = uuid.uuid5(uuid.NAMESPACE_OID, f"{key}-{time}")
            samples = range(time * self.samples, (time + 1) * self.samples)
            yield Item(problem, prompt, samples, row=number, uuid=str(named))

    def _prompt(self, row: Row, number: int) -> list[Message]:
        where = f"row {number + 1}"
        given = self._user(row, where) if self._user else row[self.keys.column]
        turns = [{"role": "user", "content": given}] if isinstance(given, str) else given
        self._check(turns, where)
        if self.keys.system and turns[0]["role"] != "system":
            turns = [{"role": "system", "content": self.keys.system}, *turns]
        conversation: list[Message] = own(turns)
        return conversation

    def _check(self, turns: Any, where: str) -> None:
        """Raise unless it is a conversation that the model is to answer."""
        column = f"column {self.keys.column!r}, {where}"
        if not isinstance(turns, list) or not turns:
            raise UsageError(f"{column} holds {turns!r}, which is neither text nor messages")
        for turn in turns:
            if not isinstance(turn, dict) or not isinstance(turn.get("content"), str):
                raise UsageError(f"{column}: {turn!r} is no message with role and content")
            if turn.get("role") not in ROLES:
                raise UsageError(
                    f"{column}: role {turn.get('role')!r} is none of {', '.join(ROLES)}"
                )
        if turns[-1]["role"] == "assistant":
            raise UsageError(f"{column} ends with the assistant's turn: nothing is left to answer")


def conversation(prompt: Prompt, answer: str) -> list[Message]:
    """The prompt with its answer, as `messages` to train on."""
    before = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return [*before, {"role": "assistant", "content": answer}]


def _template(text: str) -> Callable[[Row, str], str]:
    """A Jinja template over the row's columns. Sandboxed: a dataset's recipe may be anyone's."""
    require("eval", "jinja2")
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    try:
        template = environment.from_string(text)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        where = f"line {line}: " if line else ""
        raise UsageError(f"--prompt-template is no Jinja template: {where}{error}") from error

    def render(row: Row, where: str) -> str:
        try:
            return template.render(**row)
        except Exception as error:  # a template may do anything to a value
            names = ", ".join(row)
            raise UsageError(
                f"--prompt-template fails on {where}: {error}; its columns: {names}"
            ) from error

    return render
