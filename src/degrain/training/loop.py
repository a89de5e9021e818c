"""The training loop, from top to bottom."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from degrain.artifacts.history import Epoch
from degrain.errors import Diverged, ModelError, Stopped
from degrain.inference.denoiser import BATCH, Denoiser, to_tensor
from degrain.losses.base import Loss
from degrain.machine import compute, precision
from degrain.metrics.psnr import psnr
from degrain.networks import catalog
from degrain.patches.store import PatchStore, Split
from degrain.pixels import depth, from_unit, to_unit
from degrain.randomness import generator
from degrain.training import first_weights, gradients, objectives, schedules
from degrain.training.batches import Batches
from degrain.training.checkpoints import Checkpoints
from degrain.training.device_batches import open_batches
from degrain.training.distributed import ALONE, Group
from degrain.training.state import State
from degrain.training.trial import Trial

log = logging.getLogger(__name__)


def train(
    trial: Trial,
    store: PatchStore,
    device: torch.device,
    *,
    checkpoints: Checkpoints | None = None,
    after_epoch: Callable[[Epoch], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
    group: Group = ALONE,
) -> State:
    """Train one trial, from its last checkpoint on if it has one.

    Args:
        trial: What to train.
        store: What to train on.
        device: Where to compute. On the same device and number of threads the weights are the same bits every time,
            however often training was stopped and resumed.
        checkpoints: Where to go on from and what to write, if anything.
        after_epoch: Called with what each epoch left, those before the checkpoint included.
        stopping: Asked after every step whether to stop.
        group: The processes that train it together.

    Returns:
        The state after the last epoch.

    Raises:
        Diverged: The loss or a weight became NaN or infinite.
        Stopped: It was asked to; the checkpoint is written.
        OutputError: A checkpoint cannot be written.
        DataError: The store has changed since it was opened; no checkpoint is written of that.
        ParamsError: The group cannot train this network or share these batches, or the noise fails.
    """
    params = trial.params
    state = _begin(trial, store, device)
    if checkpoints and checkpoints.load(state):
        log.debug("%s goes on after step %d", trial.name, state.step)
    for past in state.history:
        after_epoch(past)
    batches = open_batches(trial, store, device, group.rank, group.world)
    group.check_shares(batches.patches_per_epoch, batches.batch_size)
    state.steps = params.epochs * batches.steps_per_epoch
    share_of = partial(schedules.share, params, steps=state.steps, steps_per_epoch=batches.steps_per_epoch)
    cast = precision.autocast(precision.resolve(params.precision, device), device)
    network = group.wrap(state.network)
    dropout = int(generator(trial.seed, "dropout").integers(2**62))
    held_out = store.split("val")
    denoiser = Denoiser(state.validated, trial.model, store.channels, store.patch_size)

    while len(state.history) < params.epochs and not state.stalled(params.patience):
        epoch = len(state.history)
        first = state.step - epoch * batches.steps_per_epoch
        began = time.perf_counter(), time.process_time()
        network.train()
        for place, (noisy, clean) in enumerate(batches.epoch(epoch, start=first), first):
            patches = min(batches.batch_size, batches.patches_per_epoch - place * batches.batch_size)
            batch = noisy.to(device, non_blocking=True), clean.to(device, non_blocking=True)
            _seed(dropout + state.step, device)
            _set_rates(state.optimizer, share_of(state.step))

            state.optimizer.zero_grad(set_to_none=True)
            backward = partial(
                gradients.backward,
                network,
                objectives.of(trial.loss, store.noise, state.step / state.steps),
                cast,
                batch,
                patches,
                group=group,
            )
            part_of_loss = gradients.fitting(state, len(clean), backward)
            if params.clip_norm:
                nn.utils.clip_grad_norm_(state.network.parameters(), params.clip_norm)
            state.optimizer.step()
            if state.averaged:
                state.averaged.update_parameters(state.network)

            state.step += 1
            due = checkpoints is not None and checkpoints.due()
            loss, stop, save = group.total(float(part_of_loss), stopping(), due and group.rank == 0)
            _check_loss(loss, batches, f"epoch {epoch + 1}, step {state.step}")
            state.loss_sum += loss * patches
            if checkpoints and group.rank == 0 and (stop or save):
                store.require_unchanged()
                checkpoints.save(state)
            _stop_if(stop)

        pace = _pace(began, max(0, batches.patches_per_epoch - first * batches.batch_size), device)
        _check_weights(state, epoch)
        val_loss, val_psnr = validate(denoiser, held_out, trial.loss) if group.rank == 0 else (0.0, 0.0)
        val_loss, val_psnr = group.tell(val_loss, val_psnr)
        train_loss = state.loss_sum / batches.patches_per_epoch
        rate = _set_rates(state.optimizer, share_of(state.step - 1))
        state.enter(Epoch(epoch + 1, train_loss, val_loss, val_psnr, rate, *pace, time.time()), params.keep)
        after_epoch(state.history[-1])
    return state


def begin(trial: Trial, channels: int, patch_size: int, device: torch.device) -> State:
    """Return a trial before its first step, with its first weights.

    Args:
        trial: What to train.
        channels: Of the images.
        patch_size: Side of the training patches, in pixels.
        device: Where to compute.

    Raises:
        ParamsError: It is to begin with a model that does not ship.
        ModelError: The weights of that model are damaged, or those of other code of the network.
    """
    torch.manual_seed(int(generator(trial.seed, "first weights").integers(2**63)))
    network = catalog.spec(trial.model).build(channels, patch_size)
    if trial.params.start:
        first_weights.load(trial.params.start, network)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return State.begin(trial, network)


def validate(denoiser: Denoiser, held_out: Split, loss: Loss) -> tuple[float, float]:
    """Return the loss of the network's outputs for the validation patches, and their mean PSNR (dB).

    The loss is that of the outputs as they are, PSNR that of images, by the metric protocol.

    Raises:
        Diverged: An output is no finite number.
    """
    assert held_out.noisy is not None  # noqa: S101  (the store writes noisy.npy for every held-out split)
    total, ratios = 0.0, []
    for start in range(0, len(held_out.clean), BATCH):
        noisy, clean = (side[start : start + BATCH] for side in (held_out.noisy, held_out.clean))
        try:
            outputs = denoiser.outputs(to_unit(noisy))
        except ModelError as error:
            raise Diverged(f"on validation patches {error}") from error
        total += float(loss.value(to_tensor(outputs), to_tensor(to_unit(clean)))) * len(clean)
        ratios.append(psnr(from_unit(outputs, depth(noisy)), clean))
    return total / len(held_out.clean), float(np.concatenate(ratios).mean())


def _begin(trial: Trial, store: PatchStore, device: torch.device) -> State:
    """Prepare PyTorch for this trial and give it its first weights."""
    if trial.params.start:
        first_weights.check(trial.params.start, trial.model, store.channels, store.record.light)
    compute.prepare_torch(device.type, trial.params.threads, trial.params.deterministic)
    return begin(trial, store.channels, store.patch_size, device)


def _seed(seed: int, device: torch.device) -> None:
    # NOTE: torch.manual_seed looks for all kinds of devices and takes 0.3 ms: as long as a step of a small network.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _pace(began: tuple[float, float], patches: int, device: torch.device) -> tuple[float, float, float, float]:
    """Return images a second, cores that were busy, and memory of the process and of the GPU; see `Epoch`.

    Args:
        began: When the epoch did, by the wall's clock and by the processor's.
        patches: Trained on since then.
        device: Where.
    """
    seconds, busy = (now - then for now, then in zip((time.perf_counter(), time.process_time()), began, strict=True))
    return patches / seconds, busy / seconds, compute.peak_memory_mb(), compute.peak_gpu_memory_mb(device)


def _set_rates(optimizer: torch.optim.Optimizer, share: float) -> float:
    """Set all learning rates to a share of their full ones; return the first."""
    for settings in optimizer.param_groups:
        settings["lr"] = settings["initial_lr"] * share
    return float(optimizer.param_groups[0]["lr"])


def _stop_if(asked: float) -> None:
    if asked:
        raise Stopped


def _check_loss(loss: float, batches: Batches, when: str) -> None:
    """Refuse a loss that is no finite number, or, where that is why, noise that is none."""
    if not math.isfinite(loss):
        batches.require_finite()
        raise Diverged(f"the loss became {loss} in {when}")


def _check_weights(state: State, epoch: int) -> None:
    """Refuse weights with NaN or infinity in them, of which the last step's loss knows nothing."""
    for network in {state.network, state.validated}:
        if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
            raise Diverged(f"a weight became NaN or infinite in epoch {epoch + 1}")
