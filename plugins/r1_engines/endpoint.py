"""One request to an OpenAI-compatible endpoint, made again while that may help."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from r1cli import ProviderError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
log = logging.getLogger("r1cli.engine")

FIRST_WAIT = 0.5  # seconds; doubled with each try, and spread by half around it
LONGEST_WAIT = 60.0
LONGEST_ASKED = 300.0  # what a server may ask for by Retry-After
SLOW_TRIES = 2  # a request that ran out of time is made once more: its time is long already
START_SECONDS, START_TRIES = 10.0, 3  # for whether anyone is there at all
SHOWN = 400  # characters of a server's answer
SAID_EVERY = 10.0  # seconds between lines about waiting


class Refused(ProviderError):
    """The endpoint answered with an error that asking again would not change."""

    def __init__(self, message: str, status: int, said: str) -> None:
        super().__init__(message)
        self.status, self.said = status, said


class _Passing(Exception):
    """A failure that may be over soon; `wait` is what the server asked for, in seconds."""

    def __init__(self, said: str, *, wait: float = 0.0, slow: bool = False) -> None:
        super().__init__(said)
        self.wait, self.slow = wait, slow


@dataclass
class Endpoint:
    """What is behind `url`. `key` is sent, and never said."""

    client: httpx.AsyncClient
    url: str
    key: str
    key_env: str
    timeout: float
    tries: int
    told: float = -math.inf

    async def ask(
        self, path: str, body: dict[str, Any] | None, read: Callable[[Any], T], tries: int = 0
    ) -> T:
        """`read` of the reply to `body`; it raises ValueError on what is no such reply.

        Raises Refused, or ProviderError after `tries` failures in a row.
        """
        slow, tries = 0, tries or self.tries
        for number in range(1, tries + 1):
            try:
                async with asyncio.timeout(self.timeout):
                    return await self._once(path, body, read)
            except TimeoutError:
                failure = _Passing(f"no answer within {self.timeout:g} s", slow=True)
            except _Passing as error:
                failure = error
            slow += failure.slow
            if number == tries or slow == SLOW_TRIES:
                raise ProviderError(self._failed(f"{failure}, after {number} tries"))
            wait = min(FIRST_WAIT * 2 ** (number - 1), LONGEST_WAIT) * random.uniform(0.5, 1.5)
            wait = max(wait, min(failure.wait, LONGEST_ASKED))
            self._tell(f"{failure}; try {number + 1} of {tries} in {wait:.1f} s")
            await asyncio.sleep(wait)
        raise AssertionError

    async def models(self) -> list[dict[str, Any]]:
        """What the endpoint says it serves; empty where it does not say.

        Raises ProviderError when nobody answers: a wrong address is known before any work.
        """
        try:
            async with asyncio.timeout(START_SECONDS):
                return await self.ask("models", None, _listed, START_TRIES)
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
            raise _Passing(self._clean(f"{type(error).__name__}: {error}")) from None
        if answer.status_code == 200:
            try:
                return read(answer.json())
            except (ValueError, KeyError, IndexError, TypeError, AttributeError):
                said = self._clean(answer.text)[:120]
                raise _Passing(f"an answer of another kind: {said!r}") from None
        status, said = answer.status_code, self._clean(answer.text)
        if status == 429 or status >= 500:
            raise _Passing(f"status {status}: {said}", wait=retry_after(answer))
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
        return f"endpoint {shown(self.url)} failed: {said}"

    def _tell(self, said: str) -> None:
        """A wait is never silent, and many at once are one line."""
        if time.monotonic() - self.told > SAID_EVERY:
            self.told = time.monotonic()
            log.warning(self._failed(said))


def shown(url: str) -> str:
    """An address without the name and password that it may hold."""
    return re.sub(r"//[^/@]*@", "//***@", url)


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
