"""A seccomp filter as classic BPF: rules over a system call's number and low argument words.

Source: https://docs.kernel.org/userspace-api/seccomp_filter.html. Arguments are compared by their
low 32 bits, which is all that the kernel reads of flags and of signed ints.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence

from .syscalls import ARCH, call

ALLOW, KILL = 0x7FFF0000, 0x80000000
SECCOMP = (317, 277)
_AUDIT_ARCH = (0xC000003E, 0xC00000B7)
_X32 = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _BITS, _RETURN, _AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54


def errno(number: int) -> int:
    return 0x00050000 | number


class Filter:
    """Rules in order; the first that matches decides, and what none matches is allowed."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int]] = [
            (_LOAD, 0, 0, 4),
            (_EQUAL, 1, 0, _AUDIT_ARCH[ARCH]),
            (_RETURN, 0, 0, KILL),
            (_LOAD, 0, 0, 0),
        ]
        if ARCH == 0:
            self._code += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, errno(38))]

    def answer(self, numbers: Sequence[int | None], action: int) -> None:
        """`action` for every one of the calls, whatever its arguments are."""
        for column in range(0, len(numbers), 200):  # a jump reaches 255 instructions
            some = [n for n in numbers[column : column + 200] if n is not None]
            for place, number in enumerate(some):
                last = place == len(some) - 1
                self._code.append((_EQUAL, len(some) - 1 - place, 1 if last else 0, number))
            self._code += [(_RETURN, 0, 0, action)] if some else []

    def when(self, number: int | None, *tests: tuple[str, int, int], action: int) -> None:
        """`action` where every test holds: (how, argument, value).

        How: `=` and `!` compare, `all` wants every bit of the value, `any` one, `low=` and `low!`
        compare the lowest four bits, `set` wants any of these bits in either half.
        """
        if number is None:
            return
        body: list[tuple[int, int, int, int] | str] = []
        for how, argument, value in tests:
            offset = 16 + 8 * argument
            body.append((_LOAD, 0, 0, offset))
            if how in ("=", "!"):
                body.append((_EQUAL, 0, 0, value))
            elif how == "all":
                body += [(_AND, 0, 0, value), (_EQUAL, 0, 0, value)]
            elif how == "any":
                body.append((_BITS, 0, 0, value))
            elif how in ("low=", "low!"):
                body += [(_AND, 0, 0, 15), (_EQUAL, 0, 0, value)]
            elif how == "set":
                # Either half: the low word alone would let a pointer with a zero low half by.
                body += [(_BITS, 2, 0, value), (_LOAD, 0, 0, offset + 4), (_BITS, 0, 0, value)]
            else:
                raise ValueError(f"no test {how!r}")
            body.append(how)
        self._code += _assembled(number, body, action)

    def compiled(self) -> bytes:
        code = [*self._code, (_RETURN, 0, 0, ALLOW)]
        return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def _assembled(
    number: int, body: list[tuple[int, int, int, int] | str], action: int
) -> list[tuple[int, int, int, int]]:
    """The tests with their jumps; the number is loaded again after them for the next rule."""
    code = [instruction for instruction in body if not isinstance(instruction, str)]
    end = len(code) + 1  # past the action, where the number is loaded again
    place, done = 0, []
    for instruction in body:
        if not isinstance(instruction, str):
            done.append(instruction)
            place += 1
            continue
        kind, yes, _, value = done[-1]
        away = end - place
        if instruction.endswith("!"):
            done[-1] = (kind, away, 0, value)
        else:
            done[-1] = (kind, yes, away, value)
    length = len(done) + 2
    head = (_EQUAL, 0, length, number)
    return [head, *done, (_RETURN, 0, 0, action), (_LOAD, 0, 0, 0)]


def install(code: bytes) -> None:
    """On the calling process, for good. It must have no_new_privs."""
    room = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(room))
    call(SECCOMP[ARCH], 1, 0, program)
