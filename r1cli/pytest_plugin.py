"""What pytest gets from an installed r1cli: the fixture `reward_contract`.

pytest imports this module in every project of the environment, so it imports nothing before use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from r1cli.testing import Report

_REPORTS = pytest.StashKey[list["Report"]]()


@pytest.fixture
def reward_contract(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Holds a reward to its contract: `reward_contract("brevity")`; see docs/plugins.md."""

    def check(reward: str | Callable[..., Any], **given: Any) -> Report:
        __tracebackhide__ = True
        from r1cli.testing import check_reward

        report = check_reward(reward, **given)
        request.config.stash.setdefault(_REPORTS, []).append(report)
        return report

    return check


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    reports = config.stash.get(_REPORTS, [])
    if reports and config.get_verbosity() >= 0:
        terminalreporter.section("reward contracts")
        for report in reports:
            terminalreporter.write_line(str(report))
