"""A plain PyTorch loop over a DataLoader."""

from __future__ import annotations

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.peers import plain_networks
from benchmarks.peers.task import Task


def loader(task: Task) -> DataLoader[tuple[torch.Tensor, ...]]:
    """The pairs as float32 (N, C, H, W), shuffled."""
    pairs = TensorDataset(*(torch.from_numpy(side).permute(0, 3, 1, 2).contiguous() for side in task.pairs()))
    kept = task.workers > 0
    return DataLoader(pairs, task.batch, shuffle=True, num_workers=task.workers, persistent_workers=kept)


def main() -> None:
    task = Task.told()
    batches = loader(task)
    network = plain_networks.build(task.net, task.channels, task.size)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(task.epochs):
        total = 0.0
        for noisy, clean in batches:
            loss = F.mse_loss(network(noisy), clean)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        task.epoch_ended()
    task.answer(len(batches.dataset), sum(weight.numel() for weight in network.parameters()))


if __name__ == "__main__":
    main()
