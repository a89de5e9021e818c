"""One trial on several devices: what `torchrun` starts is seen as ranks of one group, which share each batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from degrain.errors import ParamsError
from degrain.machine import compute


@dataclass(frozen=True)
class Group:
    """The processes that train one network together.

    Attributes:
        rank: Which one this is, from 0. Rank 0 validates, writes and speaks.
        world: How many there are.
    """

    rank: int = 0
    world: int = 1

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return the network such that `backward` averages gradients over the ranks.

        Raises:
            ParamsError: The network has batch normalisation and the ranks cannot share its statistics.
        """
        if self.world == 1:
            return network
        if any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()):
            raise ParamsError("a network with batch normalisation cannot be trained by several processes together")
        return DistributedDataParallel(network)

    def check_shares(self, patches_per_epoch: int, batch_size: int) -> None:
        """Refuse batches of which a rank would get nothing.

        Raises:
            ParamsError: There are such batches.
        """
        smallest = patches_per_epoch % batch_size or min(batch_size, patches_per_epoch)
        if smallest < self.world:
            raise ParamsError(
                f"train.batch_size: an epoch ends with a batch of {smallest} patches, fewer than {self.world} processes"
            )

    def alone(self, network: nn.Module) -> AbstractContextManager[None]:
        """Return a context in which `backward` leaves the other ranks alone, until the last part of a batch."""
        return network.no_sync() if isinstance(network, DistributedDataParallel) else nullcontext()

    def total(self, *values: float) -> list[float]:
        """Return the sum of each value over the ranks."""
        if self.world == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=_device())
        distributed.all_reduce(sums)
        return sums.tolist()

    def tell(self, *values: float) -> list[float]:
        """Return rank 0's values on every rank."""
        return self.total(*(values if self.rank == 0 else [0.0] * len(values)))


ALONE = Group()


@contextmanager
def joined() -> Iterator[Group]:
    """Join the group that `torchrun` has started; without it, be alone."""
    world = compute.world()
    if world == 1:
        yield ALONE
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(compute.local_rank())
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Group(distributed.get_rank(), world)
    finally:
        distributed.destroy_process_group()


def _device() -> torch.device:
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
