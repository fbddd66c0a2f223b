"""The tiny model: Qwen3's architecture at 0.3M parameters, built on this machine, never fetched."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from r1cli import build_policy, cache_folder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen3Config

SIZES = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 32,
    "intermediate_size": 192,
    "max_position_embeddings": 512,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
    "tie_word_embeddings": True,
}


def r1_tiny_blank(*, seed: int = 0) -> Path:
    """Return the folder of the randomly initialised model and its tokenizer, made at first use.

    The folder's name carries a hash of every setting, so changed code never meets an old folder.
    """
    from r1_tiny.tokenizer import build_tokenizer

    tokenizer = build_tokenizer()
    settings = {"sizes": SIZES, "seed": seed, "tokenizer": tokenizer.backend_tokenizer.to_str()}
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    folder = cache_folder("models") / f"r1_tiny_blank-{key}"
    if not folder.exists():
        _save_blank(folder, tokenizer, seed)
    return folder


def r1_tiny(*, seed: int = 0) -> Path:
    """Return the folder of the cold-started model: recipe tiny/sft, trained once and kept."""
    return build_policy("tiny/sft", overrides=[f"seed={seed}"])


def tiny_config(tokenizer: PreTrainedTokenizerFast) -> Qwen3Config:
    """The model's Qwen3 configuration, for this tokenizer's vocabulary."""
    from transformers import Qwen3Config

    return Qwen3Config(
        **SIZES,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )


def _save_blank(folder: Path, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
    """Write beside the folder and rename: a reader, or a second writer, never sees half of it."""
    import torch
    from transformers import Qwen3ForCausalLM

    with torch.random.fork_rng():  # building a model must not move the caller's random state
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(tiny_config(tokenizer))
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        draft.chmod(0o755)
        draft.rename(folder)
    except OSError:
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
