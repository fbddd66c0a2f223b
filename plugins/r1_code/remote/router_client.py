"""Provider `router`: whatever provider stands behind `r1 serve router`, on another machine."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from r1_code.language import source_bytes
from r1_code.remote.counts import at_least_one
from r1_code.remote.fleet import Fleet
from r1_code.remote.request import Passing
from r1_code.remote.told import broken
from r1_code.remote.urls import given_urls
from r1cli import Capabilities, Program, ProgramResult, ProviderError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

VARIABLE = "R1_ROUTER_ENDPOINTS"
SLACK_SECONDS = 600.0  # for its queue, and for its own tries


def router(
    *,
    endpoints: str | list[str] = "",
    max_requests_per_endpoint: int = 64,
    api_key_env: str = "R1_ROUTER_API_KEY",
) -> Router:
    """Sends programs to `r1 serve router`.

    `endpoints` are URLs, a list or with commas between; unset, what R1_ROUTER_ENDPOINTS says. The
    key, where the router wants one, is in the environment variable `api_key_env`.
    """
    at_least_one("router", max_requests_per_endpoint=max_requests_per_endpoint)
    urls = given_urls("router", endpoints, VARIABLE)
    return Router(urls, max_requests_per_endpoint, api_key_env)


class Router:
    capabilities: Capabilities

    def __init__(self, endpoints: list[str], tokens: int, api_key_env: str) -> None:
        key = os.environ.get(api_key_env)
        self._help = f"see argument 'endpoints', {VARIABLE} and, for its key, {api_key_env}"
        self.fleet = Fleet(
            "router",
            endpoints,
            tokens=tokens,
            health="/health",
            help=self._help,
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )

    async def __aenter__(self) -> Router:
        [told, *_] = await self.fleet.open()
        try:
            [can] = _adapter(list[Capabilities]).validate_python([told["capabilities"]])
        except (ValueError, KeyError, TypeError):
            await self.fleet.close()
            raise ProviderError(
                f"code provider 'router': what answers is no `r1 serve router`; {self._help}"
            ) from None
        self.capabilities = can
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.fleet.close()

    async def run(self, program: Program) -> ProgramResult:
        """Raises UsageError for what the router's provider refuses."""
        results, programs = _adapter(list[ProgramResult]), _adapter(list[Program])
        sendable = {
            **vars(program),
            "source": source_bytes(program.source).decode(errors="replace"),
        }
        body = {"programs": programs.dump_python([Program(**sendable)], mode="json")}

        def read(answer: Any) -> ProgramResult:
            [result] = results.validate_python(answer["results"])
            return result

        limits = program.limits
        seconds = SLACK_SECONDS + limits.compile_seconds + limits.wall * len(program.inputs)
        try:
            return await self.fleet.post("/execute_batch", body, read, seconds=seconds)
        except Passing as error:
            return broken("router", error)


@functools.cache
def _adapter(words: Any) -> TypeAdapter[Any]:
    """The public words as JSON, bytes as base64."""
    from pydantic import ConfigDict, TypeAdapter

    config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    return TypeAdapter(words, config=config)
