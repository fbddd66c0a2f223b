"""`r1 generate`: completions for a dataset's prompts, scored on the way, kept in the store.

recipe.py    what to generate: the keys of a recipe, which the options say too
prompts.py   rows to prompts          scoring.py   rewards on a thread of their own
job.py       the flow                 output.py    what is kept, as rows to train on
"""
