"""Runs in the judge's sandbox: what stands there for the functions and values of the solution.

A `Recorder` knows what the solution answered so far; each call is
looked up, or asked for and answered by an `Unknown`, which goes along with whatever is done to it.
"""

import builtins
import json

from r1_code.rewards.calls.codec import NODES, Unsayable, decode, encode

QUIET = (StopIteration, StopAsyncIteration)  # raised inside `map`, it would end `all(map(f, ...))`


class Missing(Exception):
    """The solution ended before it answered, or its answer is nothing that can be judged."""


class Raised(Exception):
    """The solution raised something that is no builtin exception."""


class Recorder:
    """The calls of one unit: `asked` in order, `open` while an answer is unknown."""

    def __init__(self, calls=(), results=(), classes=None):
        self.asked, self.open, self.classes = [], False, classes if classes is not None else {}
        self._known, self._times = {}, {}
        for number, call in enumerate(calls):
            result = results[number] if number < len(results) else None
            self._known.setdefault(json.dumps(call), []).append(result)

    def call(self, place, arguments, keywords):
        call = [
            place,
            [encode(value, self._other) for value in arguments],
            {name: encode(value, self._other) for name, value in keywords.items()},
        ]
        number = len(self.asked)
        self.asked.append(call)
        key = json.dumps(call)
        time = self._times[key] = self._times.get(key, -1) + 1
        answers = self._known.get(key, ())
        if time >= len(answers):
            self.open = True
            return Unknown(self, number)
        return self._answer(answers[time], number, arguments, keywords)

    def _answer(self, answer, number, arguments, keywords):
        if not isinstance(answer, dict):
            raise Missing("no answer")
        for place, data in answer.get("after", {}).items():
            changed = keywords.get(place) if place in keywords else arguments[int(place)]
            _become(changed, decode(data, None, self._nodes()))
        if "raised" in answer:
            kind = getattr(builtins, str(answer["raised"]), None)
            if isinstance(kind, type) and issubclass(kind, Exception) and kind not in QUIET:
                raise kind("raised by the solution")
            raise Raised(answer["raised"])
        if "value" in answer:
            return decode(answer["value"], None, self._nodes())
        return Handle(self, number)

    def _nodes(self):
        return {n: self.classes[n] for n in NODES if isinstance(self.classes.get(n), type)}

    def _other(self, value):
        if isinstance(value, (Unknown, Handle)):
            return ["ref", object.__getattribute__(value, "_number")]
        if isinstance(value, Function):
            return ["function", object.__getattribute__(value, "_path")]
        raise Unsayable(f"a {type(value).__name__}")


class Function:
    """Stands for what the solution defines under a name: a function, a class, a module's part."""

    def __init__(self, recorder, path):
        self._recorder, self._path = recorder, path

    def __call__(self, *arguments, **keywords):
        return self._recorder.call(self._path, arguments, keywords)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Function(self._recorder, f"{self._path}.{name}")


class Handle:
    """Stands for a result that is no data: it may be passed on and its methods called, no more."""

    def __init__(self, recorder, number):
        object.__setattr__(self, "_recorder", recorder)
        object.__setattr__(self, "_number", number)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *a, **k: self._recorder.call([self._number, name], a, k)

    def __call__(self, *arguments, **keywords):
        return self._recorder.call([self._number, "__call__"], arguments, keywords)

    def __setattr__(self, name, value):
        raise Missing("an object of the solution cannot be changed from outside")

    def _refuse(self, *_):
        raise Missing("an object of the solution is no answer")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __hash__ = _refuse


class Unknown(Handle):
    """Stands for a result while the calls are only being collected: everything about it holds."""

    def _itself(self, *_):
        return self

    def _yes(self, *_):
        return True

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __contains__ = _yes
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _itself
    __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _itself
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rshift__ = _itself
    __neg__ = __pos__ = __abs__ = __invert__ = __getitem__ = _itself
    __hash__ = object.__hash__

    def __round__(self, digits=None):
        return self

    def __iter__(self):
        return iter(())

    def __len__(self):
        return 0

    def __index__(self):
        return 0

    def __float__(self):
        return 0.0

    def __complex__(self):
        return 0j


def _become(value, other):
    """Give a mutable value the content of another."""
    if isinstance(value, (list, bytearray)):
        value[:] = other
    elif isinstance(value, (dict, set)):
        value.clear()
        value.update(other)
    elif hasattr(value, "__dict__"):
        value.__dict__.update(other.__dict__)
