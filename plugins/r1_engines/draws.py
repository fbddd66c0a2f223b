"""All samples of one prompt, from servers that draw several per request and from others."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from r1_engines.background import together
from r1_engines.endpoint import Endpoint, Refused
from r1_engines.reply import Reply, read_reply
from r1_engines.request import Wording, seed_of
from r1cli import Completion, Prompt, Sampling, UsageError

log = logging.getLogger("r1cli.engine")

NOT_SEVERAL = (400, 422)  # how a server that draws one sample per request refuses `n`
NO_ROOM = (400, 413, 422)  # how one refuses a prompt for its length, with words like these
TOO_LONG = re.compile(r"context.{0,9}(length|size|window)|maximum model length|_length_exceeded")


@dataclass
class Draws:
    """`turn` bounds the requests that are open; `several`: one of them may ask for `n` samples."""

    endpoint: Endpoint
    wording: Wording
    turn: asyncio.Semaphore
    prefill: str
    several: bool = True
    told: set[str] = field(default_factory=set)

    async def group(
        self, index: int, prompt: Prompt, sampling: Sampling, n: int
    ) -> list[Completion] | None:
        """`n` samples of prompt `index`; None where it leaves no room for any."""
        path, fields = self.wording.body(prompt, sampling)

        async def draw(number: int, samples: int = 1) -> list[Completion]:
            seed = seed_of(sampling.seed, index, number)
            return await self._ask(path, self.wording.drawing(fields, samples, seed))

        try:
            drawn = await self._at_once(draw(0, n), n) if n > 1 and self.several else []
            rest = await together(draw(number) for number in range(len(drawn), n))
        except Refused as refusal:
            if not _too_long(refusal):
                raise
            if await self._fits(path, fields):
                raise UsageError(f"{refusal}; lower --max-tokens") from None
            return None
        if n > 1 and rest:
            self.several = False
        return [*drawn, *(one[0] for one in rest)]

    async def _at_once(self, draw: Any, n: int) -> list[Completion]:
        """What one request for `n` samples gives: fewer, or none, where the server knows no `n`."""
        try:
            drawn: list[Completion] = await draw
        except Refused as refusal:
            if refusal.status in NOT_SEVERAL and not _too_long(refusal):
                return []
            raise
        return drawn[:n]

    async def _fits(self, path: str, fields: dict[str, Any]) -> bool:
        """Whether the prompt leaves room for one token: if so, it is not what is too long."""
        try:
            await self._ask(path, self.wording.shortest(fields))
        except Refused as refusal:
            if _too_long(refusal):
                return False
            raise
        return True

    async def _ask(self, path: str, body: dict[str, Any]) -> list[Completion]:
        read = partial(read_reply, prefill=self.prefill)
        async with self.turn:
            reply: Reply = await self.endpoint.ask(path, body, read)
        if reply.estimated:
            self._say_once("the endpoint does not count each sample's tokens: they are estimates")
        if any("</think>" in text.partition("<think>")[0] for text in reply.completions):
            self._say_once(
                "answers close a <think> that they do not open: the template does; say so by "
                """--engine-arg 'prefill="<think>\\n"', or unfinished thoughts pass for answers"""
            )
        return reply.completions

    def _say_once(self, text: str) -> None:
        if text not in self.told:
            self.told.add(text)
            log.warning(text)


def _too_long(refusal: Refused) -> bool:
    return refusal.status in NO_ROOM and bool(TOO_LONG.search(refusal.said))
