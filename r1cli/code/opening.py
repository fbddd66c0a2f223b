"""A code provider by name, its arguments checked, opened when a program is first to be run."""

from __future__ import annotations

from r1cli import signature
from r1cli.code.service import CodeService
from r1cli.plugins import Plugins
from r1cli.recipe import Component


def code_service(component: Component, plugins: Plugins, *, where: str) -> CodeService:
    """The registered provider behind a service. Raises UsageError for a wrong name or argument."""
    entry = plugins["code_providers"].get(component.name, where)
    function = entry.load()
    what = f"code provider {component.name!r}"
    args = signature.bind(function, component.args, what=what, where=where)
    return CodeService(plugins["code_providers"].name_of(entry), lambda: function(**args))
