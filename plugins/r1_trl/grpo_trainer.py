"""TRL's GRPO trainer, scored by r1's rewards, with every rollout kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1_trl import rollouts, vllm
from r1_trl.rewards import Reader, columns_of, endings, leave_out, table, text_of
from r1cli import ProviderError, Scorer


def grpo_trainer() -> type:
    """The class, made when it is asked for: TRL takes seconds to import."""
    import torch
    from accelerate.utils import gather

    from r1_trl.fast import fast_trainer
    from r1_trl.resume import Resumable

    class Trainer(Resumable, fast_trainer()):  # type: ignore[misc]
        """TRL's GRPO trainer that scores through r1's runtime and keeps what it sampled."""

        kept = (*Resumable.kept, "_failures")
        drawn = ("_step", "_buffered_inputs", "_sampled_entropy", "_loss_scale")

        rollouts: Path | None = None
        scorer: Scorer
        reader: Reader
        max_failures: int
        _failures = 0  # of all ranks
        _of_step: dict[str, Any] = {"step": None}  # noqa: RUF012 - what was drawn for which
        _loss_scale: dict[bool, float] = {}  # noqa: RUF012 - by whether it trains or evaluates

        def _calculate_rewards(self, inputs, prompts, completions, completion_ids_list):  # type: ignore[no-untyped-def]
            whole = self.reader.read(prompts, completions, completion_ids_list)
            before, step = self.scorer.failures, self.state.global_step + 1
            columns = columns_of(inputs)
            outcomes = self.scorer.score(whole, prompts, columns, step=step)
            device = self.accelerator.device
            failed = torch.tensor([self.scorer.failures - before], device=device)
            self._failures += int(gather(failed).sum())
            if self._failures > self.max_failures:
                last = self.scorer.last_failure or "on another rank"
                raise ProviderError(
                    f"{self._failures} samples could not be scored, over max_failures = "
                    f"{self.max_failures}; the last: {last}"
                )
            for name, report in self.scorer.report(reset=True).items():
                for key, value in report.items():
                    self._log_metric(f"scoring/{name}/{key}", value)
            self._drawn = {
                "prompt": list(prompts),
                "completion": [text_of(completion) for completion in completions],
                "prefill": [completion.prefill for completion in whole],
                "tokens": [completion.tokens for completion in whole],
                "truncated": [completion.truncated for completion in whole],
                "outcome": endings(outcomes),
            }
            for reward in self.scorer.rewards:  # so that the file can be scored again
                read = reward.data(prompts, columns)
                self._drawn = {**{n: v for n, v in read.items() if n != "prompts"}, **self._drawn}
            for name, column in zip(self.reward_func_names, outcomes, strict=True):
                self._drawn[f"reward/{name}"] = [outcome.value for outcome in column]
            return gather(table(outcomes).to(device))

        def _generate_and_score_completions(self, inputs):  # type: ignore[no-untyped-def]
            output = super()._generate_and_score_completions(inputs)
            ends = self._drawn["outcome"]
            failed = torch.tensor([end.startswith("failed") for end in ends])
            failed = failed.to(self.accelerator.device)
            self._loss_scale = dict(self._loss_scale)
            self._loss_scale[self.model.training] = (
                leave_out(output, failed, gather, self.loss_type) if gather(failed).any() else 1.0
            )
            if self.model.training and self.rollouts is not None:
                self._keep({**self._drawn, "advantage": output["advantages"].tolist()})
            return output

        def _keep(self, drawn):  # type: ignore[no-untyped-def]
            """Write what was drawn, with what earlier rounds of sampling drew for the same step."""
            step, before = self.state.global_step + 1, self._of_step
            if before["step"] == step:
                drawn = {name: [*before["drawn"][name], *rows] for name, rows in drawn.items()}
            self._of_step = {"step": step, "drawn": drawn}
            rollouts.write(self.rollouts, step, self.accelerator.process_index, drawn)

        def training_step(self, *args, **given):  # type: ignore[no-untyped-def]
            with vllm.saved_when_lost(self, Path(self.args.output_dir)):
                return super().training_step(*args, **given)

        def evaluate(self, *args, **given):  # type: ignore[no-untyped-def]
            with vllm.saved_when_lost(self, Path(self.args.output_dir)):
                return super().evaluate(*args, **given)

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):  # type: ignore[no-untyped-def]
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            return loss * self._loss_scale.get(self.model.training, 1.0)

    return Trainer
