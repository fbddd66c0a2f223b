"""LiveCodeBench release v4 less what v3 had: the contests of August and September 2024."""

from __future__ import annotations

from dataclasses import replace

from r1_benchmarks.lcb import lcb

lcb_v4 = replace(lcb, args={**lcb.args, "config": "v4"})
