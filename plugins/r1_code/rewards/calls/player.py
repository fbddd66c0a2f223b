"""Runs in the solution's sandbox: the solution, then the calls on stdin; results on stdout.

Nothing expected is in here. One line of JSON per call, written as soon as it is known:
`{"value": ...}`, `{"opaque": type}` or `{"raised": type}`, with `"after"` where arguments changed.
"""

import io
import json
import os
import re
import sys
import types

from r1_code.rewards.calls.codec import NODES, Unsayable, decode, encode

METHOD = re.compile(r"(\w+)\(\)\.(\w+)")


def play(solution, preamble, entry_point):
    """`entry_point` is what the preamble may only declare: the solution has to define it."""
    calls = json.loads(sys.stdin.buffer.read())
    channel = os.dup(1)
    _silence()
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    names = module.__dict__
    exec(compile(preamble, "preamble.py", "exec"), names)  # noqa: S102
    names.pop(entry_point.partition("(")[0], None)
    exec(compile(solution, "solution.py", "exec"), names)  # noqa: S102
    live = []
    for call in calls:
        line = json.dumps(_answer(call, names, live)) + "\n"
        view = memoryview(line.encode())
        while view:
            view = view[os.write(channel, view) :]
    os._exit(0)


def _silence():
    """What the solution prints is not looked at; stdin is empty."""
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
    except OSError:
        nowhere = 2
    os.dup2(nowhere, 1)
    sys.stdin = io.TextIOWrapper(io.BytesIO())


def _answer(call, names, live):
    """The line for a call. `live` grows by its result, so that a later call can refer to it."""
    result = None
    try:
        nodes = {name: names[name] for name in NODES if isinstance(names.get(name), type)}
        known = lambda tag, content: _known(tag, content, names, live)  # noqa: E731
        place, arguments, keywords = call
        function = _method(place, live) if isinstance(place, list) else _function(place, names)
        arguments = [decode(data, known, nodes) for data in arguments]
        keywords = {name: decode(data, known, nodes) for name, data in keywords.items()}
        result = function(*arguments, **keywords)
        said = _said(result)
        after = _changed(call, arguments, keywords)
        return {**said, "after": after} if after else said
    except BaseException as error:
        return {"raised": type(error).__name__}
    finally:
        live.append(result)


def _said(value):
    try:
        return {"value": encode(value)}
    except Exception:
        return {"opaque": type(value).__name__}


def _changed(call, arguments, keywords):
    """By position or name, the arguments that are not what they were."""
    after = {}
    before = [*enumerate(call[1]), *call[2].items()]
    for (place, data), value in zip(before, [*arguments, *keywords.values()], strict=True):
        try:
            if isinstance(data, list) and data[0] != "ref" and encode(value) != data:
                after[str(place)] = encode(value)
        except Unsayable:
            pass
    return after


def _known(tag, content, names, live):
    if tag == "ref":
        return live[content]
    if tag == "function":
        return _function(content, names)
    raise Unsayable(tag)


def _method(place, live):
    number, name = place
    return live[number] if name == "__call__" else getattr(live[number], name)


def _function(path, names):
    """What `f`, `A.f` or `Solution().f` names; a lone method of `Solution` is found, too."""
    if match := METHOD.fullmatch(path):
        return getattr(names[match[1]](), match[2])
    first, *rest = path.split(".")
    if first not in names and isinstance(names.get("Solution"), type):
        return getattr(names["Solution"](), first)
    found = names[first]
    for name in rest:
        found = getattr(found, name)
    return found
