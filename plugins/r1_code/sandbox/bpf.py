"""A seccomp filter as classic BPF: rules over a system call's number and low argument words.

Source: https://docs.kernel.org/userspace-api/seccomp_filter.html. Arguments are compared by their
low 32 bits, which is all that the kernel reads of flags and of signed ints.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterable

from .syscalls import ARCH, ready

ALLOW, KILL = 0x7FFF0000, 0x80000000
SECCOMP = (317, 277)
_AUDIT_ARCH = (0xC000003E, 0xC00000B7)
_X32 = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _BITS = 0x20, 0x15, 0x35, 0x45
_JUMP, _RETURN, _AND = 0x05, 0x06, 0x54

_Test = tuple[str, int, int]
_Instruction = tuple[int, int, int, int]


def errno(number: int) -> int:
    return 0x00050000 | number


class Filter:
    """Rules in order; the first that matches decides, and what none matches is allowed."""

    def __init__(self) -> None:
        self._rules: dict[int, list[tuple[tuple[_Test, ...], int]]] = {}

    def answer(self, numbers: Iterable[int | None], action: int) -> None:
        """`action` for every one of the calls, whatever its arguments are."""
        for number in numbers:
            self.when(number, action=action)

    def when(self, number: int | None, *tests: _Test, action: int) -> None:
        """`action` where every test holds: (how, argument, value).

        How: `=` and `!` compare, `all` wants every bit of the value, `any` one, `low=` and `low!`
        compare the lowest four bits, `set` wants any of these bits in either half.
        """
        if number is not None:
            self._rules.setdefault(number, []).append((tests, action))

    def compiled(self) -> bytes:
        """A search by halves: the kernel runs every filter for every system call once, when it is
        installed, to find out which are allowed whatever their arguments are.
        """
        allowed = _rules([])
        ranges = [(0, allowed)]  # from a number on, up to the next range
        for number in sorted(self._rules):
            if ranges[-1][0] == number:
                ranges.pop()
            for start, code in ((number, _rules(self._rules[number])), (number + 1, allowed)):
                if not ranges or ranges[-1][1] != code:
                    ranges.append((start, code))
        code = [
            (_LOAD, 0, 0, 4),
            (_EQUAL, 1, 0, _AUDIT_ARCH[ARCH]),
            (_RETURN, 0, 0, KILL),
            (_LOAD, 0, 0, 0),
        ]
        if ARCH == 0:
            code += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, errno(38))]
        code += _search(ranges)
        return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def _search(ranges: list[tuple[int, list[_Instruction]]]) -> list[_Instruction]:
    if len(ranges) == 1:
        return ranges[0][1]
    half = len(ranges) // 2
    below, above = _search(ranges[:half]), _search(ranges[half:])
    # A condition reaches 255 instructions, a jump all.
    return [(_AT_LEAST, 0, 1, ranges[half][0]), (_JUMP, 0, 0, len(below)), *below, *above]


def _rules(rules: list[tuple[tuple[_Test, ...], int]]) -> list[_Instruction]:
    """All that is asked about one system call."""
    code: list[_Instruction] = []
    for tests, action in rules:
        code += _tests(tests)
        code.append((_RETURN, 0, 0, action))
        if not tests:
            return code
    return [*code, (_RETURN, 0, 0, ALLOW)]


def _tests(tests: Iterable[_Test]) -> list[_Instruction]:
    """Go on where all hold, and past one more instruction where one does not."""
    code: list[_Instruction] = []
    decide = []  # places of the instructions that end a test, and whether it wants a no
    for how, argument, value in tests:
        offset = 16 + 8 * argument
        code.append((_LOAD, 0, 0, offset))
        if how in ("=", "!"):
            code.append((_EQUAL, 0, 0, value))
        elif how == "all":
            code += [(_AND, 0, 0, value), (_EQUAL, 0, 0, value)]
        elif how == "any":
            code.append((_BITS, 0, 0, value))
        elif how in ("low=", "low!"):
            code += [(_AND, 0, 0, 15), (_EQUAL, 0, 0, value)]
        elif how == "set":
            # Either half: the low word alone would let a pointer with a zero low half by.
            code += [(_BITS, 2, 0, value), (_LOAD, 0, 0, offset + 4), (_BITS, 0, 0, value)]
        else:
            raise ValueError(f"no test {how!r}")
        decide.append((len(code) - 1, how.endswith("!")))
    for place, wants_no in decide:
        kind, _, _, value = code[place]
        away = len(code) - place
        code[place] = (kind, away, 0, value) if wants_no else (kind, 0, away, value)
    return code


class Program:
    """A filter that is ready to be installed, as often as wanted."""

    def __init__(self, code: bytes) -> None:
        self._room = ctypes.create_string_buffer(code, len(code))
        program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(self._room))
        self.install = ready(SECCOMP[ARCH], 1, 0, program)
        """On the calling process, for good. It must have no_new_privs."""
