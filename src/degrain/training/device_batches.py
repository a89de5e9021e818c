"""Batches where a GPU computes: made there if it can hold the patches and draw the noise, else copied to it.

The patches, their order and their turns are those of `degrain.training.batches`. Noise that is drawn on the device has
the same distribution and other numbers; it depends on the seed, the epoch, the step and the batch size.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from degrain import catalogs
from degrain.noise import augmentation
from degrain.patches.store import PatchStore
from degrain.randomness import generator
from degrain.training.batches import Batches, Pair
from degrain.training.trial import Trial

# So many patches go to the device at once.
UPLOAD = 1024


def open_batches(trial: Trial, store: PatchStore, device: torch.device, rank: int = 0, world: int = 1) -> Batches:
    """Return the fastest batches for a device: on the CPU, and for kinds that only it draws, made by the CPU."""
    if device.type != "cuda":
        return Batches(trial, store, rank, world)
    free, _ = torch.cuda.mem_get_info(device)
    if trial.params.mix == "none" and DeviceBatches.serves(store) and _size(store) < free // 2:
        return DeviceBatches(trial, store, device, rank, world)
    return CopiedBatches(trial, store, device, rank, world)


def _size(store: PatchStore) -> int:
    """Bytes of the training patches."""
    side = store.split("train")
    return side.clean.nbytes + (0 if side.noisy is None else side.noisy.nbytes)


class CopiedBatches(Batches):
    """Batches made by the CPU and copied to the device while it computes.

    Args:
        trial, store, rank, world: As for `Batches`.
        device: Where the batches go.
    """

    def __init__(self, trial: Trial, store: PatchStore, device: torch.device, rank: int = 0, world: int = 1) -> None:
        super().__init__(trial, store, rank, world)
        self._device = device

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Pair]:
        """Yield what `Batches.epoch` does, on the device."""
        for noisy, clean in super().epoch(epoch, start):
            yield self._copy(noisy), self._copy(clean)

    def _copy(self, host: Tensor) -> Tensor:
        # NOTE: only a copy from pinned memory lets the CPU go on meanwhile.
        pinned = host.pin_memory() if self._device.type == "cuda" else host
        return pinned.to(self._device, non_blocking=True)


class DeviceBatches(Batches):
    """Batches made on the device, where all training patches stay.

    Every rank makes the whole batch and keeps its share, so that the noise does not depend on how many ranks there
    are. A GPU of another model may draw other numbers.

    Args:
        trial, store, rank, world: As for `Batches`.
        device: Where patches stay, noise is drawn, and batches are made; also the CPU, for tests.

    Raises:
        TypeError: The store's noise is not drawn on a device; see `serves`.
    """

    def __init__(self, trial: Trial, store: PatchStore, device: torch.device, rank: int = 0, world: int = 1) -> None:
        super().__init__(trial, store, rank, world)
        if not self.serves(store):
            raise TypeError(f"{store.noise.kind} noise of {store.copies} fixed copies is not drawn on a device")
        self._device, self._draw = device, torch.Generator(device)
        # Of all pixels that were drawn since it was looked at last: no finite number where one of them is none.
        self._sum = torch.zeros((), device=device)
        self._bits16 = self._clean.dtype == np.uint16
        self._clean_held = _upload(self._clean, device)
        self._real_held = None if self._real is None else _upload(self._real, device)
        self._pixel_turns = torch.from_numpy(augmentation.turns(store.patch_size, 1)).to(device)

    @staticmethod
    def serves(store: PatchStore) -> bool:
        """Tell whether the noise is real, or fresh and of a kind that is drawn on a device."""
        return store.noise.paired or (not store.copies and store.noise.on_device)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Pair]:
        """Yield what `Batches.epoch` does, on the device; clean patches have the same bits."""
        order, elements = self._plan(epoch)
        rows = torch.from_numpy(self._patch[order].astype(np.int64)).to(self._device)
        turning = None if elements is None else torch.from_numpy(elements).to(self._device)
        exposure = self._exposed(epoch)
        for step in range(start, self.steps_per_epoch):
            first = step * self.batch_size
            share = self._share(step)
            kept = slice(share.start - first, share.stop - first)
            batch = slice(first, first + self.batch_size)
            positions = range(first, first + len(rows[batch]))
            tables = None if exposure is None else torch.from_numpy(exposure.tables(positions).astype(np.float32))
            pair = self._made(rows[batch], None if turning is None else turning[batch], tables, epoch, step)
            noisy, clean = (patches[kept].permute(0, 3, 1, 2) for patches in pair)
            yield noisy, clean
        self.require_finite()

    def require_finite(self) -> None:
        """Refuse noise that has been drawn and is no finite number; see `Batches.require_finite`."""
        total = np.asarray(self._sum.item())
        self._sum.zero_()
        catalogs.require_finite(catalogs.file_of(type(self._store.noise).__module__), self._store.noise.kind, total)

    def _made(self, rows: Tensor, turning: Tensor | None, tables: Tensor | None, epoch: int, step: int) -> Pair:
        """One whole batch, noisy and clean, (N, H, W, C) in units of white = 1."""
        white = 65535 if self._bits16 else 255
        clean = self._gathered(self._clean_held, rows, turning)
        if self._real_held is not None:
            return self._gathered(self._real_held, rows, turning) / white, clean / white
        if tables is not None:
            clean = tables.to(self._device).gather(1, clean.flatten(1).long()).view_as(clean)
        self._draw.manual_seed(int(generator(self._seed, "device noise", epoch, step).integers(2**63)))
        noisy = self._store.noise.draw_on_device(clean / 257 if self._bits16 else clean, self._draw)
        # NOTE: looking at it would make the host wait for the device in every step.
        self._sum += noisy.sum()
        if self._store.noise.clipped:
            noisy = noisy.clamp_(0, 255).mul_(white / 255).round_()
        return noisy / (white if self._store.noise.clipped else 255), clean / white

    def _gathered(self, held: Tensor, rows: Tensor, turning: Tensor | None) -> Tensor:
        """Patches as float32 (N, H, W, C), in the levels of their depth."""
        patches = held.index_select(0, rows)
        if turning is not None:
            places = self._pixel_turns.index_select(0, turning)[..., None]
            patches = patches.gather(1, places.expand(patches.shape))
        if self._bits16 and patches.dtype == torch.int16:
            patches = patches.to(torch.int32) & 0xFFFF
        side = self._store.patch_size
        return patches.to(torch.float32).view(-1, side, side, self._store.channels)


def _upload(pixels: np.ndarray, device: torch.device) -> Tensor:
    """Patches on the device, (M, H * W, C); uint16 as the int16 of the same bits, which PyTorch knows more of."""
    flat = pixels.reshape(len(pixels), -1, pixels.shape[3])
    flat = flat.view(np.int16) if flat.dtype == np.uint16 else flat
    held = torch.from_numpy(np.array(flat[:1])).new_empty(flat.shape, device=device)
    for start in range(0, len(flat), UPLOAD):
        held[start : start + UPLOAD] = torch.from_numpy(np.array(flat[start : start + UPLOAD]))
    return held
