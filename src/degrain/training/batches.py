"""The batches of each epoch: order, augmentation and noise are functions of (seed, epoch, position)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from degrain.images.store import PatchStore
from degrain.inference.denoiser import to_tensor
from degrain.noise import augmentation, kinds
from degrain.randomness import generator, permutation_window
from degrain.training.trial import Trial


class Batches:
    """Training batches of one trial.

    Args:
        trial: Seed, batch size, patches per epoch, augmentation.
        store: Where the clean patches and the noise come from.
    """

    def __init__(self, trial: Trial, store: PatchStore) -> None:
        self._clean = store.split("train").clean
        self._noise = store.noise
        self._seed = trial.seed
        self._batch_size = trial.params.batch_size
        self.patches_per_epoch = trial.params.patches_per_epoch or len(self._clean)
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
        order = permutation_window(self._seed, "order", len(self._clean), epoch * count, count)
        for start in range(0, count, self._batch_size):
            positions = range(start, min(start + self._batch_size, count))
            clean = np.stack([self._augment(self._clean[order[i]], epoch, i) for i in positions])
            noisy = np.stack(
                [
                    kinds.add(self._noise, patch, generator(self._seed, "train noise", epoch, i))
                    for patch, i in zip(clean, positions, strict=True)
                ]
            )
            yield _to_unit(noisy), _to_unit(clean)


def _to_unit(levels: np.ndarray) -> torch.Tensor:
    return to_tensor(levels.astype(np.float32) / np.float32(255))
