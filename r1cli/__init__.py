"""The public API for plugin authors: the hook marker, the words, the errors. Nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from r1cli.batch import BatchPlan
from r1cli.code.program import (
    Capabilities,
    CodeProvider,
    Execution,
    Input,
    Limits,
    Program,
    ProgramResult,
    Status,
)
from r1cli.errors import (
    Interrupted,
    MissingExtra,
    PluginError,
    ProviderError,
    R1Error,
    UsageError,
    causes,
    one_line,
    suggest,
)
from r1cli.extras import require
from r1cli.hookspecs import Register, hookimpl
from r1cli.types import (
    Benchmark,
    Completion,
    Draw,
    Drawn,
    Engine,
    Job,
    Launcher,
    Message,
    Outcome,
    Pool,
    Prompt,
    Reward,
    Sampling,
    StreamingEngine,
)

if TYPE_CHECKING:
    from r1cli import ui
    from r1cli.adapters import StoredAdapter, stored_adapter
    from r1cli.address import direct, http_address
    from r1cli.batch import solve
    from r1cli.chat import prefill, render
    from r1cli.code.service import CodeService
    from r1cli.data.row_file import RowFile
    from r1cli.endpoint import Endpoint, Gone, Refused, retry_after
    from r1cli.files import disk_errors, read_rows, write_atomic
    from r1cli.home import cache_folder
    from r1cli.hub import ensure_reachable, hub_line
    from r1cli.models import ensure_model, load_config, load_model, load_tokenizer
    from r1cli.pipeline import build_policy
    from r1cli.problem import problem_hash
    from r1cli.publishing.card import model_card
    from r1cli.recipe import Recipe
    from r1cli.run import Run, list_runs
    from r1cli.scoring import BoundReward, Scorer, total

__version__ = "0.1.0"

# Loaded when first asked for: they bring pydantic and yaml, which `r1 --help` does without.
_LAZY = {
    "BoundReward": "r1cli.scoring",
    "CodeService": "r1cli.code.service",
    "Endpoint": "r1cli.endpoint",
    "Gone": "r1cli.endpoint",
    "Recipe": "r1cli.recipe",
    "Refused": "r1cli.endpoint",
    "RowFile": "r1cli.data.row_file",
    "Run": "r1cli.run",
    "Scorer": "r1cli.scoring",
    "StoredAdapter": "r1cli.adapters",
    "build_policy": "r1cli.pipeline",
    "cache_folder": "r1cli.home",
    "direct": "r1cli.address",
    "disk_errors": "r1cli.files",
    "ensure_model": "r1cli.models",
    "ensure_reachable": "r1cli.hub",
    "http_address": "r1cli.address",
    "hub_line": "r1cli.hub",
    "list_runs": "r1cli.run",
    "load_config": "r1cli.models",
    "load_model": "r1cli.models",
    "load_tokenizer": "r1cli.models",
    "model_card": "r1cli.publishing.card",
    "prefill": "r1cli.chat",
    "problem_hash": "r1cli.problem",
    "read_rows": "r1cli.files",
    "render": "r1cli.chat",
    "retry_after": "r1cli.endpoint",
    "solve": "r1cli.batch",
    "stored_adapter": "r1cli.adapters",
    "total": "r1cli.scoring",
    "ui": "",
    "write_atomic": "r1cli.files",
}

__all__ = [
    "BatchPlan",
    "Benchmark",
    "BoundReward",
    "Capabilities",
    "CodeProvider",
    "CodeService",
    "Completion",
    "Draw",
    "Drawn",
    "Endpoint",
    "Engine",
    "Execution",
    "Gone",
    "Input",
    "Interrupted",
    "Job",
    "Launcher",
    "Limits",
    "Message",
    "MissingExtra",
    "Outcome",
    "PluginError",
    "Pool",
    "Program",
    "ProgramResult",
    "Prompt",
    "ProviderError",
    "R1Error",
    "Recipe",
    "Refused",
    "Register",
    "Reward",
    "RowFile",
    "Run",
    "Sampling",
    "Scorer",
    "Status",
    "StoredAdapter",
    "StreamingEngine",
    "UsageError",
    "build_policy",
    "cache_folder",
    "causes",
    "direct",
    "disk_errors",
    "ensure_model",
    "ensure_reachable",
    "hookimpl",
    "http_address",
    "hub_line",
    "list_runs",
    "load_config",
    "load_model",
    "load_tokenizer",
    "model_card",
    "one_line",
    "prefill",
    "problem_hash",
    "read_rows",
    "render",
    "require",
    "retry_after",
    "solve",
    "stored_adapter",
    "suggest",
    "total",
    "ui",
    "write_atomic",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'r1cli' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(_LAZY[name] or f"r1cli.{name}")
    return getattr(module, name) if _LAZY[name] else module
