"""One question to an OpenAI-compatible endpoint, asked again while that may help."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from r1cli import Message, ProviderError

if TYPE_CHECKING:
    import ssl

    import httpx

TRIES = 5
FIRST_WAIT = 0.5  # seconds; doubled with each try, and spread by half around it
LONGEST_WAIT = 60.0
PASSING = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529))


class _Passing(Exception):
    """A failure that may be over soon; `wait` is what the server asked for, in seconds."""

    def __init__(self, said: str, wait: float | None = None) -> None:
        super().__init__(said)
        self.wait = wait


@dataclass(frozen=True)
class ChatEndpoint:
    """A model behind `{url}/chat/completions`. `key` is sent, and never said."""

    client: httpx.AsyncClient
    url: str
    model: str
    key: str
    key_from: str
    timeout: float

    async def ask(self, messages: list[Message], **options: Any) -> str:
        """The text of the reply, "" where there is none.

        Raises ProviderError when the endpoint refuses, or fails `TRIES` times in a row.
        """
        body = {"model": self.model, "messages": messages, **options}
        for attempt in range(TRIES):
            try:
                return await self._once(body)
            except _Passing as error:
                if attempt == TRIES - 1:
                    raise self._failed(f"{error}, {TRIES} times in a row") from None
                wait = FIRST_WAIT * 2**attempt * random.uniform(0.5, 1.5)
                await asyncio.sleep(min(max(wait, error.wait or 0.0), LONGEST_WAIT))
        raise AssertionError

    async def _once(self, body: dict[str, Any]) -> str:
        import httpx

        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        try:
            # httpx limits the wait for each piece; this limits the sum of them.
            async with asyncio.timeout(self.timeout):
                answer = await self.client.post(
                    f"{self.url}/chat/completions", json=body, headers=headers
                )
        except (TimeoutError, httpx.TimeoutException):
            raise _Passing(f"no answer within {self.timeout:g} s") from None
        except httpx.HTTPError as error:
            raise _Passing(f"{type(error).__name__}: {error}") from None
        if answer.status_code in PASSING:
            raise _Passing(self._status(answer), _retry_after(answer))
        if answer.status_code != 200:
            raise self._failed(self._status(answer))
        try:
            content = answer.json()["choices"][0]["message"].get("content")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            text = answer.text.replace(self.key, "***") if self.key else answer.text
            raise _Passing(f"a reply that is no chat completion: {text[:80]!r}") from None
        return content if isinstance(content, str) else ""

    def _status(self, answer: httpx.Response) -> str:
        # Before it is cut off: half a key is a secret, too.
        text = answer.text.replace(self.key, "***") if self.key else answer.text
        said = f"status {answer.status_code}: {' '.join(text[:200].split())}"
        if answer.status_code in (401, 403):
            said += (
                f" (the key in {self.key_from} was sent)"
                if self.key
                else (f" (no key was sent: {self.key_from} is not set)")
            )
        return said

    def _failed(self, said: str) -> ProviderError:
        text = f"model {self.model!r} at {self.url} cannot be asked: {said}"
        return ProviderError(text.replace(self.key, "***") if self.key else text)


@lru_cache(maxsize=1)
def certificates() -> ssl.SSLContext:
    """Reading the certificates takes longer than a request, so not for every batch."""
    import httpx

    return httpx.create_ssl_context()


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds that the server asks to wait: it may say a number or a date."""
    from datetime import UTC, datetime

    said = answer.headers.get("retry-after", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
