"""Time the engines on the same prompts, alternately, in one run: tokens per second.

    python benchmarks/engines.py                       # r1's tiny random model, no download
    python benchmarks/engines.py --model PATH --prompts 64 --max-tokens 512
    python benchmarks/engines.py --engines vllm transformers --extra enforce_eager=true

Loading and a first small batch, in which vLLM compiles, are not counted; what they take is shown.
The same sampling for all; a random model seldom ends, so that all sample about as many tokens.
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import ExitStack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", default=["transformers", "vllm"])
    parser.add_argument("--model", default="random", help="random (built here), a folder or hub id")
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--extra", nargs="*", default=[], metavar="KEY=VALUE", help="for vllm")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    os.environ.setdefault("HF_HUB_OFFLINE", "1")

    from r1cli import Sampling
    from r1cli.commands import arguments
    from r1cli.plugins import builtin_plugins
    from r1cli.sampling import open_engine

    plugins = builtin_plugins()
    model = options.model
    if model == "random":
        model = str(plugins["models"].get("r1_tiny_blank").load()())
    args = {"vllm": {"extra": arguments(options.extra, "--extra")}} if options.extra else {}
    prompts = [
        [{"role": "user", "content": f"Compute {i % 10}+{i // 10 % 10}-{i // 100}."}]
        for i in range(options.prompts)
    ]
    with ExitStack() as stack:
        loaded = {}
        for name in options.engines:
            started = time.perf_counter()
            engine = stack.enter_context(open_engine(name, model, args.get(name, {}), plugins))
            engine.generate(prompts[:4], Sampling(max_tokens=8))
            loaded[name] = engine
            print(f"{name}: ready after {time.perf_counter() - started:.0f} s", flush=True)
        speeds: dict[str, list[float]] = {name: [] for name in loaded}
        for turn in range(options.rounds):
            for name, engine in loaded.items():
                sampling = Sampling(max_tokens=options.max_tokens, seed=turn)
                started = time.perf_counter()
                groups = engine.generate(prompts, sampling)
                seconds = time.perf_counter() - started
                speeds[name].append(sum(c.tokens for group in groups for c in group) / seconds)
    slowest = min(max(found) for found in speeds.values())
    for name, found in speeds.items():
        each = ", ".join(f"{speed:,.0f}" for speed in found)
        best = max(found)
        print(f"{name}: {best:,.0f} tokens/s ({each}), {best / slowest:.1f} times the slowest")


if __name__ == "__main__":
    main()
