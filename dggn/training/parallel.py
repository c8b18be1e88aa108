"""The device of a run, and its processes under torchrun."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from runtime.errors import ConfigError

LONGEST_WAIT = timedelta(hours=2)
"""Timeout while the first process validates and the others wait."""


@dataclass(frozen=True, kw_only=True)
class ProcessContext:
    """A process's device and its rank in the run."""

    device: torch.device
    """Device for all computation."""

    rank: int = 0
    """Rank of the process; rank 0 writes files and output."""

    count: int = 1
    """Number of processes."""

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and output."""
        return self.rank == 0

    @property
    def steps_ahead(self) -> int:
        """Steps queued while an earlier one is still being computed.

        One keeps a GPU busy while the host reads the losses of the previous step. More
        would only make the clock, and thus the schedule of a time-limited run, less accurate.
        """
        return 1 if self.device.type == "cuda" else 0

    def send(self, tensor: Tensor) -> Tensor:
        """Copy a CPU tensor to the device without waiting for queued work."""
        on_gpu = self.device.type == "cuda"
        return (tensor.pin_memory() if on_gpu else tensor).to(self.device, non_blocking=True)

    def share(self, batch: Tensor) -> Tensor:
        """Return this process's samples of a batch."""
        return batch[self.rank :: self.count]

    def wrap(self, module: nn.Module) -> nn.Module:
        """Wrap a module to average its gradients over all processes."""
        if self.count == 1:
            return module
        # No buffer ever changes. PyTorch 2.13 has renamed the option, and warns of the old name.
        known = inspect.signature(DistributedDataParallel).parameters
        name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        options: dict[str, Any] = {name: False}
        return DistributedDataParallel(module, **options)

    def mean(self, values: Tensor) -> Tensor:
        """Average small tensors over all processes."""
        if self.count > 1:
            distributed.all_reduce(values)
            values = values / self.count
        return values

    def agree(self, values: list[float]) -> list[float]:
        """Broadcast the first process's values, so that all decide alike."""
        if self.count == 1:
            return values
        told = torch.tensor(values, dtype=torch.float64)
        distributed.broadcast(told, src=0)
        agreed: list[float] = told.tolist()
        return agreed


@contextmanager
def open_process(device: str) -> Iterator[ProcessContext]:
    """Join torchrun's other processes, if any, and select the device.

    Args:
        device: `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:1`; of several
            processes each takes the GPU of its own number.

    Raises:
        ConfigError: there is no such device here.
    """
    rank, count = (int(os.environ.get(name, default)) for name, default in _TORCHRUN.items())
    found = _device(device, int(os.environ.get("LOCAL_RANK", "0")) if count > 1 else None)
    if found.type == "cuda":
        torch.cuda.set_device(found)
        # All crops have one size: the search for the fastest convolutions is worth its time.
        torch.backends.cudnn.benchmark = True
    if count == 1:
        yield ProcessContext(device=found)
        return
    # What processes agree on stays off the GPU, which would have to finish its work first.
    backend = "gloo" if found.type == "cpu" else "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=LONGEST_WAIT)
    try:
        yield ProcessContext(device=found, rank=rank, count=count)
    finally:
        distributed.destroy_process_group()


_TORCHRUN = {"RANK": "0", "WORLD_SIZE": "1"}


def _device(name: str, local_rank: int | None) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device is {name!r}: choose auto, cpu, cuda or cuda:1") from error
    if device.type == "cuda":
        if local_rank is not None:
            device = torch.device("cuda", local_rank)
        if (device.index or 0) >= torch.cuda.device_count():
            raise ConfigError(
                f"device is {device}: this machine has {torch.cuda.device_count()} GPUs that "
                "PyTorch can use; choose another, or cpu"
            )
        return torch.device("cuda", device.index or 0)
    if device.type != "cpu":
        raise ConfigError(f"device is {name!r}: choose auto, cpu, cuda or cuda:1")
    return device
