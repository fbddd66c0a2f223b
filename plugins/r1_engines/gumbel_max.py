"""Sampling that leaves every row of a batch to a seed of its own, whatever else is in the batch.

The Gumbel-max trick: argmax(p / E) with independent exponential E is a sample of p, for -log E is
a Gumbel (Maddison, Tarlow, Minka: A* Sampling, arXiv 1411.0030, section 2). `torch.multinomial`
draws one sample so, too, and costs as much; vLLM's `random_sample` also has a generator per
request. With the noise fixed, a rounding of p changes a sample only where two tokens are as near
to each other as that, while cumulated probabilities would add all roundings up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from r1cli import Sampling

if TYPE_CHECKING:
    import torch
    from transformers import LogitsProcessor


def warpers(sampling: Sampling) -> list[LogitsProcessor]:
    """transformers' own temperature, top-k and top-p, in the order in which `generate` has them."""
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    found: list[LogitsProcessor] = []
    if sampling.temperature != 1:
        found.append(TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.top_k:
        found.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        found.append(TopPLogitsWarper(sampling.top_p))
    return found


class Sound:
    """A logits processor that changes nothing: `rows` (B,) turns false for a row whose scores are
    not numbers, which a greedy choice would hide."""

    def __init__(self, count: int, device: torch.device) -> None:
        import torch

        self.rows = torch.ones(count, dtype=torch.bool, device=device)

    def __call__(self, tokens: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores (B, V) as they are; -inf stands for a token that is cut off."""
        self.rows &= scores.amax(-1).isfinite()  # NaN is the largest, too
        return scores


class GumbelMax:
    """The last logits processor of a batch whose rows have `seeds`: greedy search then samples.

    The noise is drawn on `device` for the whole vocabulary at every step, so it depends on the
    seed and the step alone; a CPU and a GPU draw different noise.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        import torch

        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, tokens: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Of scores (B, V) what is largest at the tokens to choose (B, V)."""
        import torch

        chances = scores.softmax(-1)
        noise = torch.empty_like(chances)
        for row, generator in zip(noise, self.generators, strict=True):
            row.exponential_(generator=generator)
        return chances.div_(noise)
