"""PyTorch Lightning: Trainer.fit over the same DataLoader as the plain loop's."""

from __future__ import annotations

import lightning
import torch
from torch.nn import functional as F

from benchmarks.peers import plain_networks
from benchmarks.peers.pytorch_plain import loader
from benchmarks.peers.task import Task


class Module(lightning.LightningModule):
    def __init__(self, task: Task) -> None:
        super().__init__()
        self.network = plain_networks.build(task.net, task.channels, task.size)
        self.task = task

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        noisy, clean = batch
        return F.mse_loss(self.network(noisy), clean)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 1e-3)

    def on_train_epoch_end(self) -> None:
        self.task.epoch_ended()


def main() -> None:
    task = Task.told()
    module, batches = Module(task), loader(task)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=task.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, batches)
    task.answer(len(batches.dataset), sum(weight.numel() for weight in module.parameters()))


if __name__ == "__main__":
    main()
