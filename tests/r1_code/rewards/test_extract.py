"""Which program a completion holds, and that code_format pays for nothing else."""

from __future__ import annotations

import time

import pytest

from r1_code.rewards.code_format import code_format
from r1_code.rewards.extract import canonical, extract

PAID = [  # text, language, code
    ("```python\nx\n```", "python", "x\n"),
    ("```python3\nx\n```", "python", "x\n"),
    ("```py\nx\n```", "python", "x\n"),
    ("```Python\nx\n```", "python", "x\n"),
    ("```python3.11\nx\n```", "python", "x\n"),
    ("```python   \nx\n```   ", "python", "x\n"),
    ("``` python\nx\n```", "python", "x\n"),
    ("```python\r\nx\r\ny\r\n```\r\n", "python", "x\ny\n"),
    ('```python title="a.py"\nx\n```', "python", "x\n"),
    ("```{.python}\nx\n```", "python", "x\n"),
    ("~~~python\nx\n~~~", "python", "x\n"),
    ("````python\nx = '''\n```\n'''\n````", "python", "x = '''\n```\n'''\n"),
    ("```c++\nx\n```", "cpp", "x\n"),
    ("```cpp\nx\n```", "c++", "x\n"),
    ("```CPP\nx\n```", "cpp20", "x\n"),
    ("```go\nx\n```", "golang", "x\n"),
    ("```zig\nx\n```", "zig", "x\n"),
    ("Here it is: ```python\nx\n```", "python", "x\n"),
    ("1. So:\n   ```python\n   if x:\n       y\n   ```", "python", "if x:\n    y\n"),
    ("```python\nx```", "python", "x\n"),
    ("```python\nx\n```\n```python\ny\n```", "python", "y\n"),
    ("```python\nx\n```\nOutput:\n```\n1\n```", "python", "x\n"),
    ("```python\nx\n```\nOutput:\n```text\n1\n```", "python", "x\n"),
    ("<think>```python\nx\n```</think>\n```python\ny\n```", "python", "y\n"),
    ("Hm.</think>\n<answer>\n```python\ny\n```\n</answer>", "python", "y\n"),
]
TAKEN_ONLY = [  # it is run, but not paid for its form
    ("```python\nx", "python", "x\n"),
    ("<answer>\n```python\nx\n</answer>", "python", "x\n"),
    ("```\nx\n```", "python", "x\n"),
    ("```python\n\n```", "python", "\n"),
]
NOTHING = [
    ("", "python"),
    ("x = 1", "python"),
    ("`x`", "python"),
    ("```python x```", "python"),
    ("```cpp\nx\n```", "python"),
    ("```pythonic\nx\n```", "python"),
    ("```c\nx\n```", "cpp"),
    ("<think>\n```python\nx\n```\n</think>\nThat is it.", "python"),
    ("<think>\n```python\nx\n```\n", "python"),
    ("</think><think>\n```python\nx\n```\n", "python"),
]


@pytest.mark.parametrize(("text", "language", "code"), PAID)
def test_what_is_paid_is_what_is_extracted(text, language, code):
    block = extract(text, language)
    assert block is not None and block.code == code and block.closed
    assert code_format([text], language=language) == [1.0]


@pytest.mark.parametrize(("text", "language", "code"), TAKEN_ONLY)
def test_what_is_run_may_be_worse_formed_than_what_is_paid(text, language, code):
    block = extract(text, language)
    assert block is not None and block.code == code
    assert code_format([text], language=language) == [0.0]


@pytest.mark.parametrize(("text", "language"), NOTHING)
def test_nothing_is_neither_taken_nor_paid(text, language):
    assert extract(text, language) is None
    assert code_format([text], language=language) == [0.0]


def test_a_block_says_what_was_taken():
    block = extract("<think>x</think>\nSo:\n```Py\nx\ny", "python")
    assert block is not None
    assert (block.tag, block.first_line, block.last_line, block.closed) == ("Py", 3, 5, False)
    assert str(block) == "a 'Py' block in lines 3 to 5 of the answer, never closed"
    assert "without a tag" in str(extract("```\nx\n```"))


def test_names_of_a_language():
    assert {canonical(n) for n in ("py", "Python3", "python3.12", " pypy3 ")} == {"python"}
    assert canonical("c++17") == "cpp" and canonical("cpp20") == "cpp20"
    assert canonical("zig") == "zig"


def test_the_row_says_the_language_of_the_format():
    texts = ["```cpp\nx\n```", "```cpp\nx\n```", "```cpp\nx\n```"]
    infos = [{"language": "cpp"}, '{"language": "c++"}', "not { json"]
    assert code_format(texts, infos) == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("text", ["```\n" * 200_000, "`" * 1_000_000, "~~~`\n" * 100_000])
def test_a_long_text_takes_no_time(text):
    started = time.process_time()
    extract(text)
    assert time.process_time() - started < 3
