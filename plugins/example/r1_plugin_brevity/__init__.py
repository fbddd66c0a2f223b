"""The reward `brevity`: 1.0 for a completion of at most `max_chars` characters, else 0.0."""

from r1cli import hookimpl


def brevity(completions, *, max_chars: int = 500, **columns):
    return [float(len(text) <= max_chars) for text in completions]


@hookimpl
def register_rewards(register):
    register("brevity", brevity, help="1 for a completion of at most `max_chars` characters")
