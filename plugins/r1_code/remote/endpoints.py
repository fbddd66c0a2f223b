"""Who may be asked next: so many requests at a time for each endpoint, none for one that is down.

A token is a number that a context manager counts down and up again, so none can be lost. An
endpoint that fell is looked at alone, in the background, until it is well: one dead worker
condemns no other.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from r1_code.remote.request import Passing, Refused

PATIENCE_SECONDS = 30.0  # while no endpoint is well
FIRST_CHECK_SECONDS = 0.5


class NoneWell(Passing):
    """Nobody to ask, for as long as there was patience."""


@dataclass
class Endpoint:
    """`free` more requests may be sent now; `fell` is why it is down, empty while it is well."""

    url: str
    free: int
    fell: str = ""


class Endpoints:
    """`tokens` requests at a time for each of `urls`. `check` raises while one is not well."""

    def __init__(
        self, urls: Sequence[str], tokens: int, check: Callable[[str], Awaitable[object]]
    ) -> None:
        self.all = [Endpoint(url, tokens) for url in urls]
        self._check = check
        self._checks: dict[str, asyncio.Task[None]] = {}
        # In the order of arrival; a dict, as those who are cancelled leave from the middle.
        self._waiting: dict[asyncio.Future[None], None] = {}

    @asynccontextmanager
    async def hold(self, avoid: Collection[str] = ()) -> AsyncIterator[Endpoint]:
        """One token of the least busy endpoint, rather of one not in `avoid`.

        Raises NoneWell when none has been well for `PATIENCE_SECONDS`.
        """
        endpoint = await self._take(avoid)
        try:
            yield endpoint
        finally:
            endpoint.free += 1
            self._wake(1)

    def down(self, endpoint: Endpoint, why: str) -> None:
        """Ask this one no more until a check of it has passed."""
        endpoint.fell = why
        if endpoint.url not in self._checks:
            self._checks[endpoint.url] = asyncio.create_task(self._until_well(endpoint))
        self._wake(len(self._waiting))  # they may have nobody left to wait for

    async def close(self) -> None:
        checks = [*self._checks.values()]
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)

    async def _take(self, avoid: Collection[str]) -> Endpoint:
        alone_since = 0.0
        while True:
            well = [one for one in self.all if not one.fell]
            free = [one for one in well if one.free]
            if free:
                fresh = [one for one in free if one.url not in avoid] or free
                most = max(one.free for one in fresh)
                chosen = random.choice([one for one in fresh if one.free == most])
                chosen.free -= 1
                return chosen
            now = asyncio.get_running_loop().time()
            # Who is busy will be done; who is down may stay so.
            alone_since = 0.0 if well else alone_since or now
            try:
                async with asyncio.timeout_at(None if well else alone_since + PATIENCE_SECONDS):
                    await self._news()
            except TimeoutError:
                raise NoneWell(f"no endpoint is well: {self.all[0].fell}") from None

    async def _news(self) -> None:
        news = asyncio.get_running_loop().create_future()
        self._waiting[news] = None
        try:
            await news
        except BaseException:
            if news.done() and not news.cancelled():
                self._wake(1)  # it was meant for somebody who still waits
            raise
        finally:
            self._waiting.pop(news, None)

    def _wake(self, count: int) -> None:
        for news in [*itertools.islice(self._waiting, count)]:
            del self._waiting[news]
            if not news.done():
                news.set_result(None)

    async def _until_well(self, endpoint: Endpoint) -> None:
        for number in itertools.count():
            # Within the patience of one who comes just now: an endpoint that is back is not missed.
            wait = min(FIRST_CHECK_SECONDS * 2 ** min(number, 9), PATIENCE_SECONDS / 3)
            await asyncio.sleep(wait * random.uniform(0.5, 1.5))
            try:
                await self._check(endpoint.url)
            except (Passing, Refused) as error:
                endpoint.fell = str(error)
            else:
                break
        endpoint.fell = ""
        del self._checks[endpoint.url]
        self._wake(len(self._waiting))
