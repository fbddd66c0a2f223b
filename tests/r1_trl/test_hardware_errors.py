"""Real exhaustion of memory and a real silent rank, told in one line with what would work."""

from __future__ import annotations

import datetime
import multiprocessing
import socket
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from r1_trl.hardware_errors import hardware_errors
from r1cli.errors import ProviderError


def trainer(**args):
    common = {"per_device_train_batch_size": 8, "gradient_checkpointing": False, "ddp_timeout": 1}
    return SimpleNamespace(
        args=SimpleNamespace(**{**common, **args}), state=SimpleNamespace(global_step=7)
    )


def test_memory_that_torch_cannot_have_names_the_knobs():
    import torch

    with pytest.raises(ProviderError) as caught, hardware_errors(trainer()):
        torch.empty(1 << 50)
    text = str(caught.value)
    assert text.startswith("out of memory after step 7")
    assert "batch.micro_batch, which is 8" in text
    assert "gradient_checkpointing: true" in text
    assert "last checkpoint" in text and "\n" not in text


def test_memory_that_python_cannot_have_is_the_same():
    with pytest.raises(ProviderError, match="out of memory"), hardware_errors(trainer()):
        bytearray(1 << 60)


def test_what_is_done_already_is_not_advised():
    import torch

    frugal = trainer(per_device_train_batch_size=1, gradient_checkpointing=True)
    with pytest.raises(ProviderError) as caught, hardware_errors(frugal):
        torch.empty(1 << 50)
    assert "micro_batch" not in str(caught.value)
    assert "gradient_checkpointing" not in str(caught.value)


def test_a_bug_stays_a_bug():
    with pytest.raises(RuntimeError, match="shapes"), hardware_errors(trainer()):
        raise RuntimeError("shapes cannot be multiplied")


LIMIT = 3  # seconds, in which both ranks have to meet as well


def silent_rank(port: int) -> None:
    group(1, port)
    time.sleep(600)


def group(rank: int, port: int) -> None:
    import torch.distributed as dist

    store = dist.TCPStore("127.0.0.1", port, 2, is_master=not rank)
    limit = datetime.timedelta(seconds=LIMIT)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=limit)


def test_a_rank_that_does_not_answer_is_told_with_its_limit():
    import torch
    import torch.distributed as dist

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    other = multiprocessing.get_context("spawn").Process(target=silent_rank, args=(port,))
    other.start()
    try:
        group(0, port)
        told = hardware_errors(trainer(ddp_timeout=LIMIT))
        with pytest.raises(ProviderError) as caught, told:
            dist.all_reduce(torch.ones(1))
        assert "waited 3 s for another after step 7" in str(caught.value)
        assert "ddp_timeout" in str(caught.value)
    finally:
        other.kill()
        other.join()
        dist.destroy_process_group()
