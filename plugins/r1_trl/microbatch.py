"""Rearrange TRL's micro-batches so that fewer tokens are computed, with the same gradient.

TRL shuffles a generation batch, splits it, and pads every micro-batch to the longest completion of
them all. Three changes, each made only where it leaves the gradient of the optimizer step alone:

* trim: cut a micro-batch to its own longest prompt and completion. Always exact.
* order: sort by completion length before the split. Exact where the loss is a sum over rows and one
  optimizer step takes the whole generation batch.
* leave out: rows whose advantage is zero have a gradient of exactly zero where nothing but the
  advantage enters the loss. What TRL divides by is restored through `loss_scale`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    Batch = dict[str, Any]  # what TRL's `_generate_and_score_completions` returns

PROMPT = ("prompt_ids", "prompt_mask")  # (B, P), padded on the left
COMPLETION = (  # (B, C), padded on the right; an importance ratio of whole sequences is (B, 1)
    "completion_ids",
    "completion_mask",
    "tool_mask",
    "advantages",
    "old_per_token_logps",
    "ref_per_token_logps",
    "sampling_per_token_logps",
    "importance_sampling_ratio",
)
SCALARS = ("num_items_in_batch", "loss_scale")

# How each loss reduces a micro-batch. The others depend on which rows share one.
ROW_MEAN = frozenset({"grpo", "sapo", "dr_grpo", "luspo"})  # divides by the number of rows
TOKEN_MEAN = frozenset({"bnpo"})  # divides by the number of tokens in the micro-batch
ROW_SUM = frozenset({"dapo", "cispo", "vespo"})  # divides by a count fixed before the split


@dataclass(frozen=True)
class Rules:
    """What may be done to the micro-batches of a run without changing its gradients."""

    loss_type: str
    order: bool  # sort rows by length across micro-batches
    leave_out: bool  # drop rows without a gradient
    trim_prompts: bool  # positions may shift: true of rotary embeddings, not of absolute ones


def rules(trainer: Any) -> Rules:
    """Read the rules off a `GRPOTrainer`."""
    args = trainer.args
    # These make a row's gradient depend on the other rows of its micro-batch, or not on the
    # advantage alone.
    mixes_rows = (
        trainer.top_entropy_quantile < 1.0
        or trainer._entropy_bonus_enabled
        or trainer.aux_loss_enabled
        or trainer.loss_type not in ROW_MEAN | ROW_SUM | TOKEN_MEAN
    )
    whole = args.gradient_accumulation_steps % args.steps_per_generation == 0
    return Rules(
        loss_type=trainer.loss_type,
        order=whole and not mixes_rows and trainer.loss_type not in TOKEN_MEAN,
        # TRL gathers per-row metrics, which must have one length on every process.
        leave_out=not mixes_rows and trainer.beta == 0.0 and trainer.accelerator.num_processes == 1,
        trim_prompts=_has_plain_rotary(trainer.model.config),
    )


def rearrange(batches: list[Batch], rules: Rules) -> list[Batch]:
    """Return as many micro-batches, with the same gradient and fewer tokens."""
    known = {*PROMPT, *COMPLETION, *SCALARS}
    if any(batch.keys() - known for batch in batches):
        return batches  # pixels and the like are not rows of (B, T): leave them to TRL
    rows = len(batches[0]["completion_ids"])
    if rules.order:
        parts = _ordered(_join(batches), len(batches), rules.leave_out)
    elif rules.leave_out:
        parts = [_take(batch, _worth_keeping(batch, at_least=1)) for batch in batches]
    else:
        parts = batches
    for part, batch in zip(parts, batches, strict=True):
        if rules.loss_type in ROW_MEAN:
            part["loss_scale"] = len(part["completion_ids"]) / rows
        elif rules.loss_type in TOKEN_MEAN:
            tokens = loss_mask(batch).sum().clamp(min=1)
            part["loss_scale"] = (loss_mask(part).sum().clamp(min=1) / tokens).item()
    return [trim(part, prompts=rules.trim_prompts) for part in parts]


def without_rounding(advantages: torch.Tensor, group_size: int) -> torch.Tensor:
    """Set to 0 the advantages (B,) that are only the rounding error of their group's mean.

    A group's advantages sum to 0, so those of a group that has only one value besides 0 are 0. In
    float32 the mean of eight rewards of 0.1 is not 0.1; TRL divides the rest by 1e-4.
    """
    import torch

    groups = advantages.view(-1, group_size)
    moved = groups != 0
    highest = groups.masked_fill(~moved, -torch.inf).amax(1, keepdim=True)
    lowest = groups.masked_fill(~moved, torch.inf).amin(1, keepdim=True)
    return groups.masked_fill(highest <= lowest, 0.0).view(-1)


def trim(batch: Batch, *, prompts: bool = True) -> Batch:
    """Cut the columns of (B, P) on the left and of (B, C) on the right that are padding only."""
    width = batch["completion_mask"].size(1)
    used = max(int(batch["completion_mask"].sum(1).max()), 1)
    read = max(int(batch["prompt_mask"].sum(1).max()), 1) if prompts else None
    cut = dict(batch)
    for key in COMPLETION:
        value = batch.get(key)
        if value is not None and value.dim() == 2 and value.size(1) == width:
            cut[key] = value[:, :used]
    if read is not None:
        cut |= {key: batch[key][:, -read:] for key in PROMPT}
    return cut


def loss_mask(batch: Batch) -> torch.Tensor:
    """The tokens that enter the loss, (B, C)."""
    tool_mask = batch.get("tool_mask")
    mask = batch["completion_mask"]
    return mask if tool_mask is None else mask * tool_mask


def _ordered(batch: Batch, count: int, leave_out: bool) -> list[Batch]:
    """Split into `count` micro-batches of like lengths."""
    import torch

    lengths = batch["completion_mask"].sum(1)
    rows = torch.arange(len(lengths), device=lengths.device)
    if leave_out:
        rows = _worth_keeping(batch, at_least=count)
    rows = rows[lengths[rows].argsort(stable=True)]
    return [_take(batch, part) for part in rows.tensor_split(count)]


def moved(batch: Batch) -> torch.Tensor:
    """Which rows have a gradient where nothing but the advantage enters the loss, (B,)."""
    advantages = batch["advantages"]
    apart = advantages != 0 if advantages.dim() == 1 else (advantages != 0).any(1)
    return apart & loss_mask(batch).any(1)


def _worth_keeping(batch: Batch, *, at_least: int) -> torch.Tensor:
    """Indices of the rows that have a gradient; `at_least` some, as a micro-batch needs a row."""
    keep = moved(batch)
    first = keep.int().argsort(descending=True, stable=True)
    return first[: max(int(keep.sum()), at_least)].sort().values


def _take(batch: Batch, rows: torch.Tensor) -> Batch:
    return {
        key: value if value is None or key in SCALARS else value[rows]
        for key, value in batch.items()
    }


def _join(batches: list[Batch]) -> Batch:
    import torch

    first = batches[0]
    return {
        key: value
        if value is None or key in SCALARS
        else torch.cat([batch[key] for batch in batches])
        for key, value in first.items()
    }


def _has_plain_rotary(config: Any) -> bool:
    """Whether attention depends on distances only, so that padding on the left may be cut."""
    rope = getattr(config.get_text_config(), "rope_parameters", None) or {}
    kinds = [rope] if "rope_type" in rope else [v for v in rope.values() if isinstance(v, dict)]
    # Dynamic scalings read the length of the padded sequence itself.
    static = {"default", "linear", "llama3", "yarn"}
    return bool(kinds) and all(kind.get("rope_type") in static for kind in kinds)
