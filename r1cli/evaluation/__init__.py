"""Evaluation: a benchmark's problems through an engine and a scorer, to a score with its interval.

problems.py    rows to prompts and golds           spec.py     what decides the number, hashed
evaluation.py  sample what is missing, score it    score.py    samples to a Score
stored.py      completions from a file instead     results.py  what `eval/` holds, read again
judged.py      what was said of attempts, stored with them
paired.py compare.py   is B better than A?         during.py   on checkpoints, in training
launched.py job.py     by jobs of their own, which training does not wait for
table.py       scores as Markdown                  cross_check.py   judged by a second scorer
"""

from __future__ import annotations

from r1cli.evaluation.evaluation import Evaluation, Progress
from r1cli.evaluation.score import Score
from r1cli.evaluation.stored import read_stored

__all__ = ["Evaluation", "Progress", "Score", "read_stored"]
