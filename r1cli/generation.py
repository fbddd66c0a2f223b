"""Completions for a dataset's prompts, one JSONL row each, resumed from what the file holds."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from r1cli.dataset import load_rows, problem_hash
from r1cli.errors import UsageError, suggest
from r1cli.files import append_row, read_rows
from r1cli.plugins import Plugins
from r1cli.sampling import messages, open_engine, sample, sampler_key
from r1cli.types import Prompt, Sampling


class Generation:
    """What to sample: the rows, their prompts, and the settings that every row is stamped with."""

    def __init__(
        self,
        dataset: str,
        args: Mapping[str, Any],
        plugins: Plugins,
        *,
        prompt_column: str,
        system_prompt: str | None,
        sampling: Sampling,
        model: str,
        limit: int | None,
        engine_args: Mapping[str, Any] | None = None,
    ) -> None:
        self.engine_args = dict(engine_args or {})
        self.plugins, self.sampling, self.model = plugins, sampling, model
        rows = load_rows(dataset, args, plugins, where="--dataset")
        if prompt_column not in rows.column_names:
            raise UsageError(
                f"no column {prompt_column!r} in dataset {dataset!r}; "
                f"{suggest(prompt_column, rows.column_names)}; choose with --prompt-column"
            )
        self.rows = rows.select(range(min(limit or len(rows), len(rows))))
        self.prompts: list[Prompt] = [
            messages(prompt, system_prompt) if isinstance(prompt, str) else prompt
            for prompt in self.rows[prompt_column]
        ]
        self.settings = [sampling.to_dict(), system_prompt]

    def run(self, engine: str, out: Path, progress: Callable[[int, int], None]) -> tuple[int, int]:
        """Sample what `out` lacks, append it, and say how many prompts were sampled and kept."""
        spec = self._spec(engine)
        before = read_rows(out)
        if not before and out.exists() and out.stat().st_size:
            raise UsageError(f"{out} holds something else than completions; choose another --out")
        foreign = [row for row in before if row.get("spec") != spec]
        if foreign:
            raise UsageError(
                f"{out} holds completions made with another model or other settings; "
                "choose another --out"
            )
        wanted = 1 if self.sampling.temperature == 0 else self.sampling.n
        left = Counter(row["hash"] for row in before)
        hashes = [problem_hash(prompt) for prompt in self.prompts]
        have = []
        for key in hashes:  # a prompt that stands in the data twice is sampled twice
            have.append(min(left[key], wanted))
            left[key] -= have[-1]
        done = {index for index, number in enumerate(have) if number == wanted}
        kept = len(done)
        progress(kept, len(self.prompts))
        if kept == len(self.prompts):
            return 0, kept
        with open_engine(engine, self.model, self.engine_args, self.plugins) as opened:
            written = 0
            for index, completions in sample(opened, self.prompts, self.sampling, done=done):
                for number, completion in list(enumerate(completions))[have[index] :]:
                    append_row(
                        out,
                        {
                            **self.rows[index],
                            "prompt": self.prompts[index],
                            "completion": str(completion),
                            "sample": number,
                            "tokens": completion.tokens,
                            "finish_reason": "length" if completion.truncated else "stop",
                            "hash": hashes[index],
                            "model": self.model,
                            "spec": spec,
                        },
                    )
                written += 1
                progress(kept + written, len(self.prompts))
        return written, kept

    def _spec(self, engine: str) -> str:
        """A hash of all that decides a completion besides its prompt."""
        key = sampler_key(engine, self.model, self.engine_args, self.plugins)
        settings = [*self.settings, key]
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:10]
