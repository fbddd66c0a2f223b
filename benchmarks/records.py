"""The attempt store at a million records, and what `r1 generate` costs over a bare asyncio loop.

    python benchmarks/records.py store --records 1000000
    python benchmarks/records.py generate --requests 4000 --latency 0.1 --concurrency 64

The endpoint is a process of its own that answers after `latency`; both sides send it the same
requests by httpx, in turns. One JSON line per figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import random
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from r1cli.generation.job import Job
from r1cli.generation.recipe import load
from r1cli.plugins import builtin_plugins
from r1cli.records import Attempt, Store, attempt_key, canonical
from r1cli.types import Sampling

TEXT = "Let me think about this step by step. " * 26  # about 1 kB
BATCH = 32  # attempts per append
LOOKED_UP = 100_000
ROUNDS = 3


def say(**figures: Any) -> None:
    machine = {"cpus": os.cpu_count(), "python": platform.python_version()}
    print(json.dumps({**figures, **machine}), flush=True)


def store(records: int) -> None:
    sampling = canonical(Sampling())
    with tempfile.TemporaryDirectory() as folder:
        with Store(Path(folder)) as open_store:
            began = time.perf_counter()
            for start in range(0, records, BATCH):
                numbers = range(start, min(start + BATCH, records))
                open_store.append(attempt(number, sampling) for number in numbers)
            appended = time.perf_counter() - began
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.jsonl"))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        again = Store(Path(folder))
        opened = time.perf_counter() - began
        generator = random.Random(0)
        keys = [
            attempt_key(f"prompt-{generator.randrange(records) // 4}", "sampler", sampling)
            for _ in range(min(LOOKED_UP, records))
        ]
        began = time.perf_counter()
        assert all(not again.missing(key, range(1)) for key in keys)
        asked = time.perf_counter() - began
        began = time.perf_counter()
        assert all(again.find(key) for key in keys)
        found = time.perf_counter() - began
        say(
            figure="store",
            records=records,
            gigabytes=round(size / 1e9, 2),
            appended_per_second=round(records / appended),
            opened_seconds=round(opened, 2),
            asked_per_second=round(len(keys) / asked),
            keys_read_per_second=round(len(keys) / found),
            attempts_read_per_second=round(4 * len(keys) / found),
            peak_mb_while_appending=round(before / 1024),
            peak_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        )


def attempt(number: int, sampling: dict[str, Any]) -> Attempt:
    prompt = f"prompt-{number // 4}"
    return Attempt(
        problem=prompt,
        prompt=prompt,
        messages=[{"role": "user", "content": prompt}],
        model="model",
        model_name="model",
        revision="",
        engine="openai",
        sampler="sampler",
        sampling=sampling,
        index=number % 4,
        text=TEXT,
        tokens=256,
    )


def generate(requests: int, latency: float, concurrency: int) -> None:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.Process(target=serve, args=(latency, sender), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{receiver.recv()}/v1"
    plugins = builtin_plugins()
    bare, ours, cpu = [], [], [0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        prompts = Path(folder) / "prompts.jsonl"
        lines = [json.dumps({"prompt": f"prompt {number}"}) for number in range(requests)]
        prompts.write_text("\n".join(lines))
        for number in range(ROUNDS):
            began = time.process_time()
            bare.append(asyncio.run(bare_loop(url, requests, concurrency)))
            cpu[0] += time.process_time() - began
            recipe = load(
                None,
                {
                    "model": "m",
                    "dataset.name": str(prompts),
                    "engine.name": "openai",
                    "engine.args": {"url": url, "concurrency": concurrency},
                },
            )
            job = Job(recipe, plugins)
            began, worked = time.perf_counter(), time.process_time()
            out, records = Path(folder) / f"{number}.jsonl", Path(folder) / f"records-{number}"
            tally = job.run(out, records, lambda done, total, note: None)
            ours.append(time.perf_counter() - began)
            cpu[1] += time.process_time() - worked
            assert tally.rows == requests
    server.kill()
    pairs = [mine / theirs - 1 for mine, theirs in zip(ours, bare, strict=True)]
    say(
        figure="generate",
        requests=requests,
        latency=latency,
        concurrency=concurrency,
        bare_seconds=round(statistics.median(bare), 2),
        r1_seconds=round(statistics.median(ours), 2),
        overhead_percent=round(100 * statistics.median(pairs), 1),
        cpu_ms_per_request=[round(1000 * one / requests / ROUNDS, 2) for one in cpu],
        least_and_most=[round(100 * min(pairs), 1), round(100 * max(pairs), 1)],
    )


async def bare_loop(url: str, requests: int, concurrency: int) -> float:
    """What one would write by hand: the requests, a bound, the texts in a list."""
    import httpx

    turn = asyncio.Semaphore(concurrency)
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(limits=limits, timeout=600) as client:

        async def ask(number: int) -> str:
            body = {
                "model": "m",
                "messages": [{"role": "user", "content": f"prompt {number}"}],
                "temperature": 0.6,
                "top_p": 0.95,
                "max_tokens": 2048,
                "seed": number,
            }
            async with turn:
                answer = await client.post(f"{url}/chat/completions", json=body)
            return str(answer.json()["choices"][0]["message"]["content"])

        began = time.perf_counter()
        await asyncio.gather(*(ask(number) for number in range(requests)))
        return time.perf_counter() - began


def serve(latency: float, port: Any) -> None:
    """As little HTTP as both sides need: one answer after `latency` seconds, keep-alive."""
    message = {"message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 256}
    completion = json.dumps({"choices": [message], "usage": usage}).encode()
    models = json.dumps({"data": [{"id": "m"}]}).encode()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = [line for line in head.lower().split(b"\r\n") if b"content-length" in line]
            if length:
                await reader.readexactly(int(length[0].split(b":")[1]))
                await asyncio.sleep(latency)
            data = completion if length else models
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(data) + data)
        writer.close()

    async def forever() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1024)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    kinds = parser.add_subparsers(required=True, dest="kind")
    of_store = kinds.add_parser("store")
    of_store.add_argument("--records", type=int, default=1_000_000)
    of_generate = kinds.add_parser("generate")
    of_generate.add_argument("--requests", type=int, default=4000)
    of_generate.add_argument("--latency", type=float, default=0.1)
    of_generate.add_argument("--concurrency", type=int, default=64)
    given = vars(parser.parse_args())
    {"store": store, "generate": generate}[given.pop("kind")](**given)
