"""The training loop, from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from degrain.depth import to_unit
from degrain.errors import Diverged
from degrain.evaluation import metrics
from degrain.images.store import PatchStore, Split
from degrain.inference.denoiser import Denoiser
from degrain.models import catalog
from degrain.randomness import generator
from degrain.training import losses, optimizers
from degrain.training.batches import Batches
from degrain.training.trial import Trial


@dataclass(frozen=True)
class Epoch:
    """What one epoch left.

    Attributes:
        epoch: From 1.
        train_loss: Mean over the epoch's patches, while it ran.
        val_loss: The same loss on the validation split, after the epoch.
        val_psnr: Mean PSNR of the validation patches, in dB, by the metric protocol.
        rate: Learning rate of its last step.
        images_per_second: Training speed, validation not counted.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_psnr: float
    rate: float
    images_per_second: float


def train(
    trial: Trial,
    store: PatchStore,
    device: torch.device,
    after_epoch: Callable[[Epoch], None] = lambda _: None,
) -> torch.nn.Module:
    """Train one trial.

    Args:
        trial: What to train.
        store: What to train on.
        device: Where to compute. On the same device and number of threads the weights are the same bits every time.
        after_epoch: Called with what each epoch left.

    Returns:
        The network after the last epoch.

    Raises:
        Diverged: The loss or a weight became NaN or infinite.
    """
    torch.manual_seed(int(generator(trial.seed, "first weights").integers(2**63)))
    network = catalog.build(trial.model, store.channels, store.patch_size)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = optimizers.build(trial.optimizer, network.parameters())
    full_rate = optimizer.param_groups[0]["lr"]
    loss_of = losses.get(trial.loss)
    batches = Batches(trial, store)
    steps = trial.params.epochs * batches.steps_per_epoch
    denoiser = Denoiser(network, trial.model, store.channels, store.patch_size, {})
    held_out = store.split("val")

    step = 0
    for epoch in range(trial.params.epochs):
        started, total = time.perf_counter(), 0.0
        network.train()
        for noisy, clean in batches.epoch(epoch):
            rate = full_rate * optimizers.rate(trial.params.schedule, step, steps, trial.params.warmup_steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = loss_of(network(noisy.to(device)), clean.to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
            total += loss.item() * len(clean)
            if not np.isfinite(total):
                raise Diverged(f"the loss became {loss.item()} in epoch {epoch + 1}, step {step}")
        seconds = time.perf_counter() - started
        if not all(bool(torch.isfinite(weight).all()) for weight in network.state_dict().values()):
            raise Diverged(f"a weight became NaN or infinite in epoch {epoch + 1}")
        val_loss, val_psnr = validate(denoiser, held_out, loss_of)
        after_epoch(
            Epoch(
                epoch + 1,
                total / batches.patches_per_epoch,
                val_loss,
                val_psnr,
                rate,
                batches.patches_per_epoch / seconds,
            )
        )
    return network


def validate(denoiser: Denoiser, held_out: Split, loss_of: losses.Loss) -> tuple[float, float]:
    """Return the loss and the mean PSNR (dB) of the denoised validation patches, both by the metric protocol."""
    assert held_out.noisy is not None  # noqa: S101  (the store writes noisy.npy for every held-out split)
    outputs = denoiser.patches(held_out.noisy)
    val_loss = loss_of(torch.from_numpy(to_unit(outputs)), torch.from_numpy(to_unit(held_out.clean)))
    return float(val_loss), float(metrics.psnr(outputs, held_out.clean).mean())
