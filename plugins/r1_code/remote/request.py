"""One HTTP request for JSON, and the two ways in which it can fail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from r1cli import one_line, retry_after

if TYPE_CHECKING:
    import httpx

PASSING = frozenset((408, 409, 425, 429))  # and all from 500 on


class Passing(Exception):
    """A failure that may be over soon.

    `wait` is what the server asked for, in seconds; `down` means that it may not be there at all.
    """

    def __init__(self, said: str, *, wait: float = 0.0, down: bool = False) -> None:
        super().__init__(said)
        self.wait, self.down = wait, down


class Refused(Exception):
    """The server understood, and will not: asking again is of no use."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"status {status}: {said}")
        self.status, self.said = status, said


async def ask(
    client: httpx.AsyncClient, method: str, url: str, body: Any = None, *, seconds: float
) -> Any:
    """The JSON that is answered within `seconds`, all of it. Raises Passing or Refused."""
    import asyncio

    import httpx

    # ASCII: a model's text may hold half a surrogate pair, which no UTF-8 body can.
    content = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        # httpx limits the wait for each piece; this limits the sum of them.
        async with asyncio.timeout(seconds):
            answer = await client.request(
                method, url, content=content, headers=headers, timeout=None
            )
    except TimeoutError:
        raise Passing(f"{url}: no answer within {seconds:g} s", down=True) from None
    except httpx.TransportError as error:
        said = f"{url}: {type(error).__name__}: {error}".rstrip(": ")
        raise Passing(said, down=True) from None
    except httpx.HTTPError as error:
        raise Passing(f"{url}: {type(error).__name__}: {error}") from None
    if answer.status_code in PASSING or answer.status_code >= 500:
        said = f"{url}: status {answer.status_code}: {_said(answer)}".rstrip(": ")
        raise Passing(said, wait=retry_after(answer))
    if answer.status_code != 200:
        raise Refused(answer.status_code, _said(answer))
    try:
        return answer.json()
    except ValueError:
        raise Passing(f"{url}: an answer that is no JSON: {answer.text[:80]!r}") from None


def _said(answer: httpx.Response) -> str:
    """The server's message in one line, from wherever servers put it."""
    said: Any = answer.text
    try:
        told = answer.json()
    except ValueError:
        pass
    else:
        if isinstance(told, dict):
            said = told.get("message") or told.get("error") or told.get("detail") or said
    return one_line(said)
