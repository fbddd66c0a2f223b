"""Rows made ready for a trainer."""

from __future__ import annotations

import threading

import pytest

pytestmark = pytest.mark.train


def test_rows_come_the_same_with_a_tokenizer_that_cannot_be_pickled():
    """`datasets` would hash it for `filter`, warn in four lines and draw a name at random."""
    from datasets import Dataset

    from r1_tiny.model import r1_tiny_blank
    from r1_trl.prompts import prepare
    from r1cli.models import load_tokenizer
    from r1cli.recipe_file import load

    tokenizer = load_tokenizer(str(r1_tiny_blank()))
    tokenizer.held = threading.Lock()
    rows = Dataset.from_list([{"prompt": "1+1"}, {"prompt": "1+" * 100}, {"prompt": "2+2"}])
    made = [prepare(rows, load("tiny/grpo"), tokenizer, room=50, template={}) for _ in range(2)]
    assert [prompt[-1]["content"] for prompt in made[0]["prompt"]] == ["1+1", "2+2"]
    assert made[0]._fingerprint == made[1]._fingerprint
