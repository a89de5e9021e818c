"""The batches of each epoch: order, augmentation and noise are functions of (seed, epoch, position)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from degrain.depth import to_unit
from degrain.images.store import PatchStore
from degrain.inference.denoiser import to_tensor
from degrain.noise import augmentation, kinds
from degrain.randomness import generator, permutation_window
from degrain.training.trial import Trial


class Batches:
    """Training batches of one trial.

    Noise is what the store says: fresh in every epoch, one of a patch's fixed copies, or the real noisy patch.

    Args:
        trial: Seed, batch size, samples per epoch, augmentation.
        store: Where the samples and the noise come from.
    """

    def __init__(self, trial: Trial, store: PatchStore) -> None:
        side = store.split("train")
        self._clean, self._real = side.clean, side.noisy
        self._store = store
        self._samples = len(side)
        self._patch = side.index["patch"].to_numpy()
        columns = ("image", "place", "copy")
        self._address = [side.index[name].to_numpy() for name in columns] if store.copies else None
        self._seed = trial.seed
        self._batch_size = trial.params.batch_size
        self.patches_per_epoch = trial.params.patches_per_epoch or self._samples
        self._augment: Callable[[np.ndarray, int, int], np.ndarray] = augmentation.build(
            trial.params.augment, trial.seed
        )

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one epoch; the last may be smaller."""
        return -(-self.patches_per_epoch // self._batch_size)

    def epoch(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (noisy, clean), both float32 (N, C, H, W) in units of white = 1, channels-last."""
        count = self.patches_per_epoch
        order = permutation_window(self._seed, "order", self._samples, epoch * count, count)
        for start in range(0, count, self._batch_size):
            positions = range(start, min(start + self._batch_size, count))
            pairs = [self._pair(int(order[i]), epoch, i) for i in positions]
            noisy, clean = (np.stack(images) for images in zip(*pairs, strict=True))
            yield to_tensor(to_unit(noisy)), to_tensor(to_unit(clean))

    def _pair(self, sample: int, epoch: int, position: int) -> tuple[np.ndarray, np.ndarray]:
        clean = self._clean[self._patch[sample]]
        if self._real is None and self._address is None:
            clean = self._augment(clean, epoch, position)
            return kinds.add(self._store.noise, clean, generator(self._seed, "train noise", epoch, position)), clean
        noisy = self._real[self._patch[sample]] if self._real is not None else self._copy(sample, clean)
        # NOTE: noise that is fixed turns with its patch.
        both = self._augment(np.concatenate([noisy, clean.astype(noisy.dtype)], axis=2), epoch, position)
        channels = self._store.channels
        return both[..., :channels], both[..., channels:].astype(clean.dtype)

    def _copy(self, sample: int, clean: np.ndarray) -> np.ndarray:
        assert self._address is not None  # noqa: S101  (asked for only where the store has fixed copies)
        image, place, copy = (column[sample] for column in self._address)
        return kinds.add_fixed(self._store.noise, clean, self._store.seed, str(image), int(place), int(copy))
