"""The processes of one training: alone, or as many as torchrun started."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn

from ...devices import find_device


@dataclass(frozen=True)
class Processes:
    """Attributes: rank: of this process; count: of all; device: this one's own."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """Of a constant over all processes."""
        if self.count > 1:
            value = value.detach().clone()
            distributed.all_reduce(value)
            value /= self.count
        return value

    def agreed(self, value: float) -> float:
        """The first process' value in all of them."""
        if self.count == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.broadcast(tensor, 0)
        return float(tensor)

    def shared(self, module: nn.Module) -> nn.Module:
        """`module` with gradients averaged over the processes in every backward pass."""
        if self.count == 1:
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, devices)


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """This process among those that torchrun started, each CUDA process on a GPU of its own.

    Args:
        device: name of a device; see `devices.find_device`.
    """
    count = int(os.environ.get("WORLD_SIZE", 1))
    place = find_device(device)
    if count == 1:
        yield Processes(0, 1, place)
        return
    if place.type == "cuda":
        place = find_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size(), place)
    finally:
        distributed.destroy_process_group()
