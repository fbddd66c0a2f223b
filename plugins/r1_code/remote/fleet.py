"""Several servers that do the same: a request goes to one of them, and elsewhere if that fails."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from r1_code.remote.endpoints import Endpoint, Endpoints, NoneWell
from r1_code.remote.request import Passing, Refused, ask
from r1cli import ProviderError, UsageError

TRIES = 3
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
CHECK_SECONDS = 10.0

T = TypeVar("T")


class Fleet:
    """The servers of provider `name`, each with `tokens` requests at a time.

    `health` is the path whose answer tells that a server is well; `help` ends the message when
    there is none that is.
    """

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        *,
        tokens: int,
        health: str,
        help: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.endpoints = Endpoints(urls, tokens, self._check)
        self._health, self._help, self._headers = health, help, dict(headers or {})

    async def open(self) -> list[Any]:
        """What each server that is well says of its health. Raises ProviderError if none is."""
        import httpx

        unlimited = httpx.Limits(max_connections=None)  # the tokens are the limit
        self._client = httpx.AsyncClient(limits=unlimited, headers=self._headers)
        everyone = self.endpoints.all
        told = await asyncio.gather(
            *(self._check(one.url) for one in everyone), return_exceptions=True
        )
        well = []
        for one, answer in zip(everyone, told, strict=True):
            if isinstance(answer, Passing | Refused):
                self.endpoints.down(one, str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                well.append(answer)
        if not well:
            await self.close()
            count = f"none of {len(everyone)} servers answers" if len(everyone) > 1 else "no answer"
            raise ProviderError(
                f"code provider {self.name!r}: {count}: {everyone[0].fell}; {self._help}"
            )
        return well

    async def close(self) -> None:
        await self.endpoints.close()
        await self._client.aclose()

    async def post(self, path: str, body: Any, read: Callable[[Any], T], *, seconds: float) -> T:
        """What `read` makes of an answer; one that it cannot read counts as a failure.

        Raises Passing after `TRIES` failures or when there is nobody left to ask, UsageError when
        the server refuses the request, and ProviderError when it refuses us.
        """
        tried: set[str] = set()
        failure = Passing("")
        for number in range(TRIES):
            try:
                async with self.endpoints.hold(tried) as endpoint:
                    tried.add(endpoint.url)
                    return _read(read, await self._post(endpoint, path, body, seconds))
            except NoneWell:
                raise
            except Passing as error:
                failure = error
            except Refused as error:
                raise self._refusal(error) from None
            if number < TRIES - 1:
                wait = FIRST_WAIT_SECONDS * 2**number * random.uniform(0.5, 1.5)
                await asyncio.sleep(min(max(wait, failure.wait), LONGEST_WAIT_SECONDS))
        raise failure

    async def _post(self, endpoint: Endpoint, path: str, body: Any, seconds: float) -> Any:
        try:
            url = f"{endpoint.url}{path}"
            return await ask(self._client, "POST", url, body, seconds=seconds)
        except Passing as error:
            if error.down:
                self.endpoints.down(endpoint, str(error))
            raise

    def _refusal(self, error: Refused) -> Exception:
        if error.status == 413:  # a model wrote it: no reason to stop a run
            return Passing(f"too large for the server: {error.said}")
        kind = ProviderError if error.status in (401, 403, 404, 405) else UsageError
        more = f"; {self._help}" if kind is ProviderError else ""
        return kind(f"code provider {self.name!r} is refused by its server: {error}{more}")

    async def _check(self, url: str) -> Any:
        return await ask(self._client, "GET", f"{url}{self._health}", seconds=CHECK_SECONDS)


def _read(read: Callable[[Any], T], answer: Any) -> T:
    try:
        return read(answer)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        said = f"{type(error).__name__}: {error} in {str(answer)[:80]!r}"
        raise Passing(f"an answer that makes no sense: {said}") from None
