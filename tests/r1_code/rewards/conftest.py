"""The code rewards on the real local sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from r1_code.rewards.code import code_reward
from r1cli import CodeService
from r1cli.code.opening import code_service
from r1cli.plugins import builtin_plugins
from r1cli.recipe import Component


@pytest.fixture(scope="session")
def code() -> Iterator[CodeService]:
    with code_service(Component(name="local"), builtin_plugins(), where="a test") as service:
        yield service


def fenced(program: str, tag: str = "python") -> str:
    return f"<think>Hm.</think>\n```{tag}\n{program}\n```\n"


@pytest.fixture
def scored(code: CodeService) -> Callable[..., float | None]:
    """`scored(program, columns, reward=..., tag=..., **args)`: what one program is paid."""

    def score(
        program: str,
        columns: dict[str, Any],
        *,
        reward: Callable[..., Any] = code_reward,
        service: CodeService = code,
        tag: str = "python",
        **args: Any,
    ) -> float | None:
        data = {name: [value] for name, value in columns.items()}
        [value] = asyncio.run(reward([fenced(program, tag)], **data, code=service, **args))
        return value

    return score
