"""Batches as tasks on a Ray cluster: what they need goes with them, what they make comes back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from r1_launch.cluster import connected, slots
from r1cli import ProviderError

Function = Callable[[Any, Any], Any]


@contextmanager
def ray_pool(
    function: Function, shared: Any, *, room: Mapping[str, float], address: str, retries: int
) -> Iterator[RayPool]:
    """A pool for `function(shared, sent)`. A task that is lost with its node runs on another one.

    Raises what the function raises, ProviderError where a task is lost `retries` + 1 times.
    """
    with connected(address, room, "batch"):
        import ray

        try:
            yield RayPool(function, shared, room, retries)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise ProviderError(
                f"a batch was lost {retries + 1} times on the Ray cluster "
                f"({type(error).__name__}); see its logs, or give --launch retries=N"
            ) from error


class RayPool:
    """`shared` lies once in the object store of each node."""

    def __init__(
        self, function: Function, shared: Any, room: Mapping[str, float], retries: int
    ) -> None:
        import ray

        self.size = slots(room)
        self._task = ray.remote(_run).options(
            num_cpus=room["CPU"], num_gpus=room["GPU"], max_retries=retries
        )
        self._job = ray.put((function, shared, str(Path.cwd()), dict(os.environ)))

    def submit(self, sent: Any) -> Future[Any]:
        future: Future[Any] = self._task.remote(self._job, sent).future()
        return future


def _run(job: tuple[Function, Any, str, dict[str, str]], sent: Any) -> Any:
    """One batch, on a node; what its environment lacks is taken from where the command runs."""
    function, shared, folder, environment = job
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    if Path(folder).is_dir():
        os.chdir(folder)
    return function(shared, sent)
