"""One sample of one prompt from an endpoint, and what may be said about it."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from r1_engines.reply import Reply, read_reply
from r1_engines.request import Wording, forced
from r1cli import Completion, Draw, Drawn, Endpoint, Gone, R1Error, Refused, Sampling, UsageError

log = logging.getLogger("r1cli.engine")

NOT_ABOUT_A_PROMPT = (*range(300, 400), 401, 403, 404)
NO_ROOM = (400, 413, 422)  # how a server refuses a prompt for its length, with words like these
TOO_LONG = re.compile(r"context.{0,9}(length|size|window)|maximum model length|_length_exceeded")


@dataclass
class Drawing:
    """Draws by requests of one sample each: none waits for, or fails with, another.

    `full` counts the prompts that left no room for an answer.
    """

    endpoint: Endpoint
    wording: Wording
    prefill: str
    full: int = 0
    told: set[str] = field(default_factory=set)

    async def draw(self, position: int, draw: Draw, sampling: Sampling) -> Drawn:
        """The sample or, in the result, why there is none. Raises what concerns all of them."""
        path, fields = self.wording.body(draw.prompt, sampling)
        started = time.perf_counter()
        try:
            body = self.wording.drawing(fields, draw.seed)
            reply = await self._ask(path, body, forced(draw.prompt))
        except Refused as refusal:
            if refusal.status in NOT_ABOUT_A_PROMPT:
                raise
            return await self._without(position, path, fields, refusal)
        except Gone:
            raise
        except R1Error as error:
            return Drawn(position, error=error)
        seconds = round(time.perf_counter() - started, 3)
        return Drawn(position, reply.completion, seconds=seconds, usage=reply.usage)

    async def _without(
        self, position: int, path: str, fields: dict[str, Any], refusal: Refused
    ) -> Drawn:
        """An empty sample for a prompt that fills the context; else the refusal."""
        if not _too_long(refusal):
            return Drawn(position, error=refusal)
        try:  # if it leaves room for one token, it is not what is too long
            await self._ask(path, self.wording.shortest(fields))
        except Refused as again:
            if _too_long(again):
                self.full += 1
                return Drawn(position, Completion("", truncated=True))
            return Drawn(position, error=again)
        except Gone:
            raise
        except R1Error as error:
            return Drawn(position, error=error)
        return Drawn(position, error=UsageError(f"{refusal}; lower --max-tokens"))

    async def _ask(self, path: str, body: dict[str, Any], begun: str = "") -> Reply:
        reply: Reply = await self.endpoint.ask(
            path, body, partial(read_reply, prefill=begun or self.prefill)
        )
        if not reply.usage:
            self._say_once("the endpoint does not count tokens: they are estimates")
        said = reply.completion.removeprefix(reply.completion.prefill)
        if not said and reply.usage.get("completion_tokens", 0) > 1:
            self._say_once(
                "answers are empty, though the endpoint counts their tokens: it keeps the text "
                "back, as calls of tools or in a field that is not known"
            )
        if "</think>" in reply.completion.partition("<think>")[0]:
            self._say_once(
                "answers close a <think> that they do not open: the template does; say so by "
                """--engine-arg 'prefill="<think>\\n"', or unfinished thoughts pass for answers"""
            )
        return reply

    def _say_once(self, text: str) -> None:
        if text not in self.told:
            self.told.add(text)
            log.warning(text)


def _too_long(refusal: Refused) -> bool:
    return refusal.status in NO_ROOM and bool(TOO_LONG.search(refusal.said))
