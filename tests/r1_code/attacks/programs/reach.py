"""Attacks that try many ways to one thing. Each way says GOT and what it got, or `held` and why.

Put before every attack; `facts` are what an attacker might guess of the host.
"""

# ruff: noqa: PTH123

import ctypes
import json
import os
import sys

facts = json.loads(sys.stdin.readline())
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(number, *args):
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def attempt(name, what, *args):
    try:
        result = what(*args)
    except BaseException as error:
        print("held", name, repr(error)[:90], flush=True)
    else:
        print("GOT", name, repr(result)[:90], flush=True)


def read(path):
    with open(path, "rb") as file:
        return file.read(200)


def write(path):
    with open(path, "ab") as file:
        return file.write(b"was here\n")
