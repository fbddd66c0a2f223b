"""How DeepSeek-R1 is asked and sampled on mathematics: shared by the benchmarks here.

Prompt, and no system prompt: usage recommendations of github.com/deepseek-ai/DeepSeek-R1.
Temperature 0.6, top-p 0.95, 32768 tokens: section 3 of arXiv:2501.12948 and the same README.
"""

from __future__ import annotations

from r1cli import Sampling

PROMPT = "{problem}\nPlease reason step by step, and put your final answer within \\boxed{{}}."


def sampling(n: int) -> Sampling:
    """R1's published sampling with `n` answers per problem."""
    return Sampling(temperature=0.6, top_p=0.95, max_tokens=32768, n=n)
