"""Runs in the judge's sandbox: the dataset's own test code, with stand-ins for the solution.

stdin holds `null`, or the units to be judged as `[[unit, calls, results], ...]`. One line of JSON
is written per unit: `[unit, verdict, calls]`, where the verdict is true, false, or null while calls
are still to be answered.
"""

import ast
import builtins
import io
import json
import os
import random
import sys

from r1_code.rewards.calls.codec import Unsayable
from r1_code.rewards.calls.stand_in import Function, Recorder

CANDIDATE = "candidate"


def judge(tests):
    """`tests` has the fields of a Asserts."""
    wanted = json.loads(sys.stdin.buffer.read())
    channel = os.fdopen(os.dup(1), "w")
    sys.stdin = io.TextIOWrapper(io.BytesIO())
    os.dup2(2, 1)
    steps, names = _steps(tests)
    units = [number for number, (_, is_unit) in enumerate(steps) if is_unit]
    for unit, calls, results in wanted or [(unit, (), ()) for unit in units]:
        verdict, asked = _judged(tests, steps, names, unit, calls, results)
        print(json.dumps([unit, verdict, asked]), file=channel, flush=True)
    os._exit(0)


def _judged(tests, steps, names, unit, calls, results):
    """Everything up to the unit, but no other unit, in a world of its own."""
    random.seed(0)
    world = {"__name__": "tests"}
    recorder = Recorder(calls, results, world)
    world["__check__"] = lambda holds: _check(holds, recorder)
    try:
        for name in names:
            world[name] = Function(recorder, name)
        exec(compile(tests["preamble"], "preamble.py", "exec"), world)  # noqa: S102
        entry = tests["entry_point"]
        if entry:
            world[CANDIDATE] = world[entry] = Function(recorder, entry)
        for code, is_unit in steps[: unit + 1]:
            if not is_unit or code is steps[unit][0]:
                exec(code, world)  # noqa: S102
        verdict = True
    except BaseException as error:
        verdict = False
        if isinstance(error, Unsayable):
            recorder.open = False
    return (None if recorder.open else verdict), recorder.asked


def _check(holds, recorder):
    """In place of `assert`: what is not known yet is let pass, so that all calls are collected."""
    if not holds and not recorder.open:
        raise AssertionError


def _steps(tests):
    """Compiled statements in order, each with whether it is a test; the names it leaves open."""
    groups = [ast.parse(text).body for text in tests["statements"]]
    for text in tests["modules"]:
        groups += _taken_apart(ast.parse(text).body)
    tree = ast.Module([node for group in groups for node in group], [])
    names = _open_names(tree, tests["entry_point"])
    steps = []
    for group in groups:
        is_unit = any(isinstance(n, ast.Assert) for s in group for n in _outside_functions(s))
        module = ast.fix_missing_locations(_Asserts().visit(ast.Module(group, [])))
        steps.append((compile(module, "tests.py", "exec"), is_unit))
    return steps, names


def _taken_apart(body):
    """Each statement alone; those of `check(candidate)` in its place, where it can be opened."""
    groups = []
    for node in body:
        opened = isinstance(node, ast.FunctionDef) and node.name == "check"
        if not opened:
            groups += [] if _calls_check(node) else [[node]]
        elif len(node.args.args) == 1 and not _returns(node):
            name = node.args.args[0].arg
            if name != CANDIDATE:
                groups.append(ast.parse(f"{name} = {CANDIDATE}").body)
            groups += [[statement] for statement in node.body]
        else:
            whole = ast.parse(f"check({CANDIDATE})\nassert True").body
            groups += [[node], whole]
    return groups


def _returns(node):
    return any(isinstance(part, ast.Return) for part in ast.walk(node))


def _calls_check(node):
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and getattr(call.func, "id", "") == "check"


def _outside_functions(node):
    yield node
    if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from _outside_functions(child)


def _open_names(tree, entry_point):
    """Names that are used and never made: the solution's. A lone assert may call a builtin one."""
    used, made = {}, {CANDIDATE, "check", *entry_point.split(".")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                used[node.id] = True
            else:
                made.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, ast.alias):
            made.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            made.add(node.name)
    names = [name for name in used if name not in made and not hasattr(builtins, name)]
    if names or entry_point:
        return names
    calls = [n for s in tree.body if isinstance(s, ast.Assert) for n in ast.walk(s.test)]
    called = [n.func.id for n in calls if isinstance(n, ast.Call) and hasattr(n.func, "id")]
    return called[:1]


class _Asserts(ast.NodeTransformer):
    """`assert x` as `__check__(x)`."""

    def visit_Assert(self, node):
        call = ast.Call(ast.Name("__check__", ast.Load()), [node.test], [])
        return ast.copy_location(ast.Expr(call), node)
