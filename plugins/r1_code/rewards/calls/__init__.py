"""Tests that call a function: recorded and judged in one sandbox, answered in another.

`player.py` runs in the solution's sandbox and `judge.py` in the judge's, both with `codec.py`;
`judging.py` runs here and carries data between them.
"""
