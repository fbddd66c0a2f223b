"""A lean sampler for models that the training process itself can run.

`model.generate` is built for every case; a GRPO step meets one: many completions of few prompts,
sampled with a temperature and perhaps a filter, each ending at its own length. So here:

* every distinct prompt is read once and its key-value cache is copied to its completions;
* the cache grows in place, where `DynamicCache` copies itself for every token;
* completions that have ended leave the batch.

The filters are transformers' own, in its order. Random numbers belong to a completion and its
position, so a seed gives the same tokens however the batch shrinks: not those that `generate` would
draw from that seed, but others of the same distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from transformers import Cache, PreTrainedModel

ROOM = 32  # positions that a full cache grows by: one copy in 32 tokens, little memory unused
COMPACT = 1 / 8  # the share of ended completions that is worth a copy of the cache without them


@dataclass(frozen=True)
class Draw:
    """How to draw a completion. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 are off."""

    max_new_tokens: int
    eos_token_ids: tuple[int, ...]
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


def sample(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], draw: Draw, *, pad_token_id: int
) -> tuple[list[list[int]], float]:
    """Return one completion per prompt, with its EOS where it reaches one, and the mean entropy.

    The entropy is the policy's at the sampled tokens: after the temperature, before the filters.
    The rows of a tensor are the completions still being written; `rows` holds their places.
    """
    import torch

    with torch.inference_mode():
        choose, device = chooser(draw), model.device
        distinct = list(dict.fromkeys(map(tuple, prompts)))
        place = {prompt: i for i, prompt in enumerate(distinct)}
        owner = torch.tensor([place[tuple(prompt)] for prompt in prompts], device=device)
        width = max(map(len, distinct))
        ids, mask = _left_pad(distinct, width, draw.max_new_tokens, pad_token_id, device)
        scores, cache = _read(model, ids, None if mask is None else mask[:, :width])
        scores, cache = scores[owner], roomy(cache, owner)
        mask = None if mask is None else mask[owner]
        ends = torch.tensor(draw.eos_token_ids, device=device)
        rows = torch.arange(len(owner), device=device)
        ended = torch.zeros_like(rows, dtype=torch.bool)
        entropy = torch.zeros((), device=device)
        # One number per completion and position; float64 so that no token is too rare to be drawn.
        shape = (len(rows), draw.max_new_tokens)
        chance = torch.rand(shape, dtype=torch.float64, device=device)
        written = torch.full(shape, pad_token_id, device=device)

        for step in range(draw.max_new_tokens):
            tokens, entropies = choose(scores, chance[rows, step])
            written[rows, step] = tokens
            entropy += entropies.masked_fill(ended, 0.0).sum()
            ended |= torch.isin(tokens, ends)
            over = int(ended.sum())
            if over == len(rows) or step + 1 == draw.max_new_tokens:
                break
            if over >= COMPACT * len(rows):
                keep = (~ended).nonzero().squeeze(1)
                cache.batch_select_indices(keep)
                rows, tokens, ended = rows[keep], tokens[keep], ended[keep]
                mask = None if mask is None else mask[keep]
            seen = None if mask is None else mask[:, : width + step + 1]
            scores, cache = _read(model, tokens.unsqueeze(1), seen, cache)
        completions = _cut(written, ends)
        return completions, float(entropy) / sum(map(len, completions))


def chooser(
    draw: Draw,
) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """A function from scores (B, V) and chances (B,) to tokens (B,) and entropies (B,)."""
    import torch
    from transformers import TopKLogitsWarper, TopPLogitsWarper

    filters: list[Any] = []
    if draw.top_k:
        filters.append(TopKLogitsWarper(draw.top_k))
    if draw.top_p < 1:
        filters.append(TopPLogitsWarper(draw.top_p))

    def choose(scores: torch.Tensor, chance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores = scores.float() / (draw.temperature or 1.0)
        chances = scores.softmax(-1)
        entropies = torch.special.entr(chances).sum(-1)
        if draw.temperature == 0:
            return scores.argmax(-1), entropies
        for keep_likely in filters:
            scores = keep_likely(None, scores)
        reached = (scores.softmax(-1) if filters else chances).cumsum(-1, dtype=torch.float64)
        # The first token whose cumulated probability exceeds the chance, never an impossible one.
        point = (chance * reached[:, -1]).unsqueeze(1)
        tokens = torch.searchsorted(reached, point, right=True).squeeze(1)
        return tokens.clamp_max(scores.size(-1) - 1), entropies

    return choose


def roomy(cache: Cache, rows: torch.Tensor) -> Cache:
    """Copy `rows` (B,) of a filled DynamicCache into one that grows `ROOM` positions at a time."""
    from torch.nn.functional import pad
    from transformers.cache_utils import Cache, DynamicLayer

    class RoomyLayer(DynamicLayer):
        """Writes keys and values (B, H, 1, D) in place; `keys`, `values` are the used part."""

        def __init__(self, filled: DynamicLayer) -> None:
            super().__init__()
            self.lazy_initialization(filled.keys, filled.values)
            self.keys, self.values = filled.keys, filled.values
            self.batch_select_indices(rows)

        def batch_select_indices(self, indices: torch.Tensor | slice) -> None:
            room = (0, 0, 0, ROOM)
            self.stores = [pad(part[indices], room) for part in (self.keys, self.values)]
            self._show(self.keys.size(-2))

        def update(self, key_states, value_states, *args, **kwargs):
            used = self.keys.size(-2)
            end = used + key_states.size(-2)
            if end > self.stores[0].size(-2):
                self.batch_select_indices(slice(None))
            for store, states in zip(self.stores, (key_states, value_states), strict=True):
                store[:, :, used:end] = states
            self._show(end)
            return self.keys, self.values

        def _show(self, end: int) -> None:
            self.keys, self.values = (store[:, :, :end] for store in self.stores)

    return Cache(layers=[RoomyLayer(layer) for layer in cache.layers])


def _left_pad(prompts, width: int, room: int, pad: int, device):
    """Token ids (U, P), and a mask (U, P + room), or None where no prompt needs padding."""
    import torch

    ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts], device=device)
    if min(map(len, prompts)) == width:
        return ids, None  # without a mask the model takes its fastest attention
    starts = torch.tensor([width - len(p) for p in prompts], device=device).unsqueeze(1)
    return ids, (torch.arange(width + room, device=device) >= starts).long()


def _read(
    model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor | None, cache: Cache | None = None
) -> tuple[torch.Tensor, Cache]:
    """Read tokens (B, N) after a cache of T tokens: scores of the next (B, V), the cache of T + N.

    `mask` is (B, T + N). Positions count from a row's first token that is not padding.
    """
    place: dict[str, Any] = {}
    if mask is not None:
        positions = (mask.cumsum(-1) - 1).clamp_min(0)[:, -ids.size(1) :]
        place = {"attention_mask": mask, "position_ids": positions}
    output = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1, **place)
    return output.logits[:, -1], output.past_key_values


def _cut(written: torch.Tensor, ends: torch.Tensor) -> list[list[int]]:
    """Cut every row of tokens (B, T) after its first EOS."""
    is_end = (written.unsqueeze(-1) == ends).any(-1).int()
    before = is_end.cumsum(1) - is_end  # how many came earlier
    lengths = (before == 0).sum(1).tolist()
    return [row[:length] for row, length in zip(written.tolist(), lengths, strict=True)]
