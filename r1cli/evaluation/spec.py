"""What decides a score besides the model, written out and hashed: equal specs, comparable scores.

The hash covers every prompt (system prompt included) and all that the scorer and the measures read
of a problem, so the data behind a name may move and is noticed, and what nobody reads may change;
the sampling without the number of samples; the scorer with its arguments and the source it consists
of, so another extractor is another spec. What the chat template opens the answer with is the
model's, and told as `prefill` of each sample; what a benchmark makes it begin with is part of the
spec.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

from r1cli import signature
from r1cli.problem import problem_hash
from r1cli.records import canonical
from r1cli.scoring import BoundReward
from r1cli.types import Benchmark, Prompt

Spec = dict[str, Any]

JUDGES = {"math_verify": "math-verify", "sympy": "sympy", "rouge_score": "rouge-score"}
"""Libraries whose version changes verdicts, by the name they are imported under."""


def write_spec(
    benchmark: Benchmark,
    problems: Sequence[Mapping[str, Any]],
    prompts: Sequence[Prompt],
    scorer: BoundReward,
    measures: Sequence[BoundReward],
) -> Spec:
    """The spec as a document, for people and for `hash_of`."""
    present: dict[str, list[Any]] = {name: [] for row in problems for name in row}
    read = {name for reward in (scorer, *measures) for name in reward.data((), present)}
    pairs = zip(prompts, problems, strict=True)
    content = [
        [problem_hash(prompt), {n: row[n] for n in read if row.get(n) is not None}]
        for prompt, row in pairs
    ]
    return {
        "prompt": benchmark.prompt,
        "system_prompt": benchmark.system_prompt,
        **({"prefill": benchmark.prefill} if benchmark.prefill else {}),
        "sampling": canonical(benchmark.sampling),
        "scorer": _judge(scorer),
        "measures": [_judge(measure) for measure in measures],
        "problems": {"count": len(problems), "hash": _digest(content)},
    }


def hash_of(spec: Spec) -> str:
    return _digest(spec)


def differences(first: Spec, second: Spec) -> list[str]:
    """Where two specs differ, as `sampling.temperature: 0.6 -> 1.0`.

    Seeds may differ: they decide which samples are drawn, not of what.
    """
    a, b = _flat(first), _flat(second)
    return [
        f"{key}: {_short(a.get(key))} -> {_short(b.get(key))}"
        for key in {**a, **b}
        if a.get(key) != b.get(key) and key != "sampling.seed"
    ]


def _judge(reward: BoundReward) -> dict[str, Any]:
    """A scorer by name, arguments and version; its services (a code provider) are not meant."""
    args = {k: v for k, v in reward.args.items() if k not in signature.SERVICES}
    return {"name": reward.name, "args": args, "version": source_version(reward.function)}


def source_version(function: Any) -> str:
    """A hash of the module of a function, of those of its package that this imports, and of the
    versions of the libraries they judge by."""
    seen: dict[str, str] = {}
    libraries: set[str] = set()
    left = [getattr(function, "__module__", "")]
    while left:
        name = left.pop()
        path = getattr(sys.modules.get(name), "__file__", None) or _beside(name)
        if name in seen or not path or not Path(path).is_file():
            continue
        seen[name] = Path(path).read_text(encoding="utf-8")
        inside = name if Path(path).name == "__init__.py" else name.rpartition(".")[0]
        for imported in _imports(ast.parse(seen[name]), inside):
            family = imported.partition(".")[0]
            if family == name.partition(".")[0]:
                left.append(imported)
            elif family in JUDGES:
                libraries.add(_version(JUDGES[family]))
    return _digest([sorted(seen.values()), sorted(libraries)])


def _imports(tree: ast.AST, package: str) -> list[str]:
    """The modules that are imported in one of `package`, and what may be such."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            found += [module, *(f"{module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


def _beside(name: str) -> str | None:
    """The file of a module that is not imported yet, in the folder of its package."""
    package, _, module = name.rpartition(".")
    folder = getattr(sys.modules.get(package), "__path__", None)
    return str(Path(folder[0]) / f"{module}.py") if folder else None


def _version(distribution: str) -> str:
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return f"no {distribution}"


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]
