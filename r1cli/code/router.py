"""A code service over HTTP: batches in, results out, a bounded queue, figures for Prometheus.

    POST /execute_batch   {"programs": [...]} -> {"results": [...]}, the public words as JSON with
                          bytes as base64; or open-r1's {"scripts": [...], ...}, see open_r1.py
    GET  /health          {"status": "ok", "provider": ..., "capabilities": {...}}
    GET  /metrics         Prometheus text

With a key, all but /health want `Authorization: Bearer KEY`. A batch for which the queue has no
room is answered 429 with Retry-After, and nothing of it is run. Errors are {"detail": one line}.
"""

# No `from __future__ import annotations`: FastAPI reads those of functions inside a function.
import asyncio
import math
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, TypeAdapter

from r1cli.code.open_r1 import Scripts, as_program, as_row
from r1cli.code.program import Capabilities, Program, ProgramResult
from r1cli.code.service import CodeService
from r1cli.errors import R1Error, UsageError

if TYPE_CHECKING:
    from fastapi import FastAPI

BASE64 = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
RESULTS = TypeAdapter(list[ProgramResult], config=BASE64)
CAPABILITIES = TypeAdapter(Capabilities)
LONGEST_WAIT_SECONDS = 60


class Programs(BaseModel):
    model_config = BASE64
    programs: list[Program]


def _shape(body: Any) -> str:
    return "scripts" if isinstance(body, dict) and "scripts" in body else "programs"


# By a word of it, so that an error is about the one shape that was meant.
Batch = Annotated[
    Annotated[Programs, Tag("programs")] | Annotated[Scripts, Tag("scripts")],
    Discriminator(_shape),
]


class QueueFull(Exception):
    """No room now; `wait` is about how long a program takes, in whole seconds."""

    def __init__(self, wait: int) -> None:
        self.wait = wait


class Router:
    """The service behind a queue of at most `max_queue` programs, those that run included."""

    def __init__(self, service: CodeService, max_queue: int) -> None:
        self.service, self.max_queue = service, max_queue
        self.queued = 0
        self.seconds = 0.0
        self.statuses: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()

    async def run(self, programs: Sequence[Program]) -> list[ProgramResult]:
        """Raises QueueFull, UsageError for a program that cannot be run, ProviderError."""
        with self._room(len(programs)):
            results = await self.service.arun(programs)
        self._count(results)
        return results

    async def run_scripts(self, scripts: Scripts) -> list[dict[str, Any]]:
        """open-r1's rows. One that cannot be run is told in its row, and fails no other."""
        with self._room(len(scripts.scripts)):
            can = await asyncio.to_thread(lambda: self.service.capabilities)
            programs = [as_program(*pair, scripts.timeout, can) for pair in scripts.pairs()]
            each = (self.service.arun([program]) for program in programs)
            ended = await asyncio.gather(*each, return_exceptions=True)
        rows = []
        for one in ended:
            if isinstance(one, BaseException) and not isinstance(one, R1Error):
                raise one
            if not isinstance(one, BaseException):
                self._count(one)
            rows.append(as_row(one if isinstance(one, BaseException) else one[0]))
        return rows

    def metrics(self) -> str:
        lines = [
            "# TYPE r1_router_queue gauge",
            f"r1_router_queue {self.queued}",
            "# TYPE r1_router_queue_limit gauge",
            f"r1_router_queue_limit {self.max_queue}",
            "# TYPE r1_router_program_seconds_total counter",
            f"r1_router_program_seconds_total {self.seconds:.3f}",
            "# TYPE r1_router_programs_total counter",
            *(
                f'r1_router_programs_total{{status="{status}"}} {count}'
                for status, count in sorted(self.statuses.items())
            ),
            "# TYPE r1_router_requests_total counter",
            *(
                f'r1_router_requests_total{{code="{code}"}} {count}'
                for code, count in sorted(self.answers.items())
            ),
        ]
        return "\n".join([*lines, ""])

    @contextmanager
    def _room(self, count: int) -> Iterator[None]:
        if count > self.max_queue:
            raise UsageError(f"{count} programs in a batch, and the queue holds {self.max_queue}")
        if self.queued + count > self.max_queue:
            mean = self.seconds / max(1, sum(self.statuses.values()))
            raise QueueFull(min(max(1, math.ceil(mean)), LONGEST_WAIT_SECONDS))
        self.queued += count
        began = time.monotonic()
        try:
            yield
        finally:
            self.queued -= count
            self.seconds += (time.monotonic() - began) * count

    def _count(self, results: Sequence[ProgramResult]) -> None:
        self.statuses.update(result.status for result in results)


def router_app(service: CodeService, *, key: str = "", max_queue: int = 1024) -> "FastAPI":
    """The app. It opens the service when it starts, and closes it when it has stopped."""
    from fastapi import Depends, FastAPI, HTTPException, Request, Response
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse, PlainTextResponse

    router = Router(service, max_queue)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(service.__enter__)
        yield
        await asyncio.to_thread(service.__exit__)

    async def authorized(request: Request) -> None:
        said = request.headers.get("authorization", "").encode()
        if key and not secrets.compare_digest(said, f"Bearer {key}".encode()):
            raise HTTPException(401, "a key is wanted: Authorization: Bearer KEY")

    app = FastAPI(title="r1 router", lifespan=lifespan)

    @app.middleware("http")
    async def counted(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        router.answers[response.status_code] += 1
        return response

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"detail": f"{where}: {first['msg']}"}, 400)

    @app.exception_handler(UsageError)
    async def refused(_: Request, error: UsageError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 400)

    @app.exception_handler(R1Error)
    async def unable(_: Request, error: R1Error) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 503)

    @app.exception_handler(QueueFull)
    async def full(_: Request, error: QueueFull) -> JSONResponse:
        text = f"the queue of {max_queue} programs has no room"
        return JSONResponse({"detail": text}, 429, {"Retry-After": str(error.wait)})

    @app.get("/health")
    async def health() -> dict[str, Any]:
        can = await asyncio.to_thread(lambda: service.capabilities)
        told = CAPABILITIES.dump_python(can, mode="json")
        return {"status": "ok", "provider": service.name, "capabilities": told}

    @app.get("/metrics", dependencies=[Depends(authorized)])
    async def metrics() -> PlainTextResponse:
        return PlainTextResponse(router.metrics(), media_type="text/plain; version=0.0.4")

    @app.post("/execute_batch", dependencies=[Depends(authorized)])
    async def execute_batch(batch: Batch) -> Response:
        if isinstance(batch, Scripts):
            return JSONResponse(await router.run_scripts(batch))
        results = await router.run(batch.programs)
        return JSONResponse({"results": RESULTS.dump_python(results, mode="json")})

    return app
