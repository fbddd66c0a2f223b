"""One request to an OpenAI-compatible endpoint, made again while that may help."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from r1cli.address import shown
from r1cli.errors import ProviderError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
log = logging.getLogger("r1cli.engine")

FIRST_WAIT = 0.5  # seconds; doubled with each try, and spread by half around it
LONGEST_WAIT = 30.0
LONGEST_ASKED = 300.0  # what a server may ask for by Retry-After
SLOW_TRIES = 2  # a request that ran out of time is made once more: its time is long already
PASSING = frozenset((408, 409, 425, 429))  # and all from 500 on
ITS_OWN = frozenset((408, 409, 425, 500))  # what says nothing about other questions
GATEWAY_TIMEOUT = 504
START_SECONDS, START_TRIES = 8.0, 3  # for whether anyone is there at all
SHOWN = 400  # characters of a server's answer
SAID_EVERY = 10.0  # seconds between lines about waiting


class Refused(ProviderError):
    """The endpoint answered with an error that asking again would not change."""

    def __init__(self, message: str, status: int, said: str) -> None:
        super().__init__(message)
        self.status, self.said = status, said


class Gone(ProviderError):
    """Nothing was answered to anyone for so long that there is no use in going on."""


class _Passing(Exception):
    """A failure that may be over soon.

    `wait` is what the server asked for, in seconds. `down` says that it may not be there at all,
    or not for anyone; else it was this question that it failed on. `lost` is a question that was
    taken and came to no answer: it may be either.
    """

    def __init__(
        self, said: str, *, wait: float = 0.0, down: bool = False, lost: bool = False
    ) -> None:
        super().__init__(said)
        self.wait, self.down, self.lost = wait, down or lost, lost


@dataclass
class Endpoint:
    """What is behind `url`. `key` is sent, and never said.

    Asked again after a broken connection, an unreadable answer, 408, 409, 425, 429 and 5xx, with
    growing waits; once more where there was no answer for `timeout` seconds. A question that used
    up its `tries` has failed where others were answered meanwhile, or where the server is there and
    fails on it: what comes to no answer may do so every time, and would end each run. Else the
    endpoint is down, and the question waits until it was so for `patience` seconds.
    """

    client: httpx.AsyncClient
    url: str
    key: str
    key_env: str
    timeout: float
    tries: int
    patience: float = 0.0
    answered: float = -math.inf  # when anyone was, the last time
    down: float = math.inf  # since when nobody is
    told: float = -math.inf

    async def ask(self, path: str, body: dict[str, Any] | None, read: Callable[[Any], T]) -> T:
        """`read` of the reply to `body`; it raises ValueError on what is no such reply.

        Raises Refused, Gone, or ProviderError for a question that failed `tries` times.
        """
        began, timeouts = math.inf, 0
        for number in count(1):
            try:
                async with asyncio.timeout(self.timeout):
                    reply = await self._once(path, body, read)
            except TimeoutError:
                failure = _Passing(f"no answer within {self.timeout:g} s", lost=True)
                timeouts += 1
            except _Passing as error:
                failure = error
            else:
                self.answered, self.down = time.monotonic(), math.inf
                return reply
            now = time.monotonic()
            began, self.down = min(began, now), min(self.down, now)
            left = self.patience - (now - self.down)
            # By a server that asks to wait for hours the tries alone would last as long.
            put_off = failure.wait > 0 and 0 < self.patience <= now - began
            if number >= self.tries or timeouts == SLOW_TRIES or put_off:
                said = self._failed(f"{failure}, after {number} tries")
                if not failure.down or self.answered > began:
                    raise ProviderError(said)
                if failure.lost and body is not None and await self._is_there():
                    raise ProviderError(said)
                if left <= 0:
                    raise Gone(said)
            wait = min(FIRST_WAIT * 2 ** min(number - 1, 16), LONGEST_WAIT)
            asked = min(failure.wait, LONGEST_ASKED, self.patience or LONGEST_ASKED)
            wait = max(wait * random.uniform(0.5, 1.5), asked)
            if number >= self.tries:  # the last try falls on the end of patience
                wait = min(wait, left + random.uniform(0, FIRST_WAIT))
            self._tell(f"{failure}; try {number + 1} in {wait:.1f} s")
            await asyncio.sleep(wait)
        raise AssertionError

    @property
    def shown(self) -> str:
        """Its address, for messages."""
        return shown(self.url)

    async def _is_there(self) -> bool:
        try:
            await self.models()
        except ProviderError:
            return False
        return True

    async def models(self) -> list[dict[str, Any]]:
        """What the endpoint says it serves; empty where it does not say.

        Raises ProviderError when nobody answers: a wrong address is known before any work.
        """
        try:
            async with asyncio.timeout(START_SECONDS):
                once = replace(self, tries=START_TRIES, patience=0.0)
                return await once.ask("models", None, _listed)
        except Refused:
            return []
        except TimeoutError:
            raise ProviderError(self._failed(f"no answer within {START_SECONDS:g} s")) from None

    async def _once(self, path: str, body: dict[str, Any] | None, read: Callable[[Any], T]) -> T:
        import httpx

        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            # UTF-8 has no lone surrogates, which a data set may hold: they are sent as "?".
            content = json.dumps(body, ensure_ascii=False).encode(errors="replace")
        try:
            answer = await self.client.request(
                "GET" if content is None else "POST",
                f"{self.url}/{path}",
                content=content,
                headers=headers,
            )
        except httpx.RequestError as error:
            said = self._clean(f"{type(error).__name__}: {error}")
            lost = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise _Passing(said, down=True, lost=lost) from None
        if answer.status_code == 200:
            try:
                return read(answer.json())
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                said = self._clean(answer.text)[:120]
                raise _Passing(f"an answer of another kind: {said!r}") from None
        status, said = answer.status_code, self._clean(answer.text)
        if answer.has_redirect_location:  # not followed: who is sent the key is for the user to say
            said = self._clean(f"it is at {shown(answer.headers['location'])} now")
        if status in PASSING or status >= 500:
            down, lost = status not in ITS_OWN, status == GATEWAY_TIMEOUT
            wait = retry_after(answer)
            raise _Passing(f"status {status}: {said}", wait=wait, down=down, lost=lost)
        raise Refused(self._failed(f"status {status}: {said}{self._hint(status)}"), status, said)

    def _hint(self, status: int) -> str:
        if status not in (401, 403):
            return ""
        return f" (key: {self.key_env} {'was sent' if self.key else 'is not set'})"

    def _clean(self, text: str) -> str:
        """One short line without the key: it is taken out first, so that none is cut in half."""
        text = text.replace(self.key, "***") if self.key else text
        line = " ".join(text.split())
        return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."

    def _failed(self, said: str) -> str:
        return f"endpoint {self.shown} failed: {said}"

    def _tell(self, said: str) -> None:
        """A wait is never silent, and many at once are one line."""
        if time.monotonic() - self.told > SAID_EVERY:
            self.told = time.monotonic()
            log.warning(self._failed(said))


def retry_after(answer: httpx.Response) -> float:
    """Seconds that the server asks to wait, which it may say as a number or a date; else 0."""
    said = answer.headers.get("retry-after", "")
    try:
        if said.strip().replace(".", "", 1).isdecimal():
            return float(said)
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _listed(reply: Any) -> list[dict[str, Any]]:
    data = reply.get("data") if isinstance(reply, dict) else None
    return [model for model in data or [] if isinstance(model, dict) and "id" in model]
