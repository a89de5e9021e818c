"""The batches of each epoch: order, augmentation and noise are functions of (seed, epoch, position)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch

from degrain.inference.denoiser import to_tensor
from degrain.noise import adding, augmentation
from degrain.patches.store import PatchStore
from degrain.pixels import to_unit
from degrain.randomness import Draws, generators, permutation_window
from degrain.training.exposure import Exposure
from degrain.training.mixing import Mixing
from degrain.training.trial import Trial

Pair = tuple[torch.Tensor, torch.Tensor]


class Batches:
    """Training batches of one trial.

    Noise is what the store says: fresh in every epoch, one of a patch's fixed copies, or the real noisy patch.

    Args:
        trial: Seed, batch size, samples per epoch, augmentation.
        store: Where the samples and the noise come from.
        rank: Which of the processes that share each batch this one is.
        world: How many there are.

    Attributes:
        patches_per_epoch: Of all ranks together.
        batch_size: Patches of one optimizer step, of all ranks together: `batch_size * accumulate` of the study.
    """

    def __init__(self, trial: Trial, store: PatchStore, rank: int = 0, world: int = 1) -> None:
        side = store.split("train")
        # NOTE: indexing np.memmap costs more than indexing the plain array that it is.
        self._clean = np.asarray(side.clean)
        self._real = None if side.noisy is None else np.asarray(side.noisy)
        self._index, self._patch = side.index, side.index["patch"].to_numpy()
        self._samples = len(side)
        self._store, self._seed = store, trial.seed
        self._augment, self._exposure = trial.params.augment, trial.params.exposure
        self._mix = trial.params.mix, trial.params.mix_probability
        self._rank, self._world = rank, world
        self._turns = augmentation.turns(store.patch_size, store.channels) if self._augment != "none" else None
        self.batch_size = trial.params.batch_size * trial.params.accumulate
        self.patches_per_epoch = trial.params.patches_per_epoch or self._samples

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one epoch; the last may be smaller."""
        return -(-self.patches_per_epoch // self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Pair]:
        """Yield this rank's share of each batch of an epoch.

        The ranks' shares, one after the other, are the batch. No patch's bits depend on how many ranks there are, on
        the batch size, or on where the epoch was started.

        Args:
            epoch: From 0.
            start: The step to begin with.

        Yields:
            Noisy and clean, both float32 (N, C, H, W) in units of white = 1, channels-last. N is 0 where a last, small
            batch has fewer patches than there are ranks.

        Raises:
            ParamsError: Patches are to become darker that cannot; see `degrain.training.exposure`.
        """
        order, elements = self._plan(epoch)
        exposure = self._exposed(epoch)
        mixing = Mixing.draw(*self._mix, self._seed, epoch, self.patches_per_epoch, self._store.patch_size)
        shares = [np.arange(share.start, share.stop) for share in map(self._share, range(start, self.steps_per_epoch))]
        needed = [np.concatenate([share, mixing.needed(share)]) if mixing else share for share in shares]
        draws = self._draws(epoch, order, np.concatenate(needed) if needed else np.empty(0, np.int64))
        for share, positions in zip(shares, needed, strict=True):
            turning = self._turning(elements, positions)
            pair = self._pairs(order, positions, turning, exposure, islice(draws, len(positions)))
            noisy, clean = (to_unit(side) if mixing is None else mixing.mix(share, to_unit(side)) for side in pair)
            yield to_tensor(noisy), to_tensor(clean)

    def require_finite(self) -> None:
        """Refuse noise that has been drawn and is no finite number, before what it was drawn for is blamed.

        On the host it is refused when it is drawn, and there is nothing left to refuse here.

        Raises:
            ParamsError: A pixel is none; the message begins with the noise's file.
        """

    def _plan(self, epoch: int) -> tuple[np.ndarray, np.ndarray | None]:
        """For each position in the epoch its sample and, if patches are turned, its element of the group."""
        count = self.patches_per_epoch
        order = permutation_window(self._seed, "order", self._samples, epoch * count, count)
        return order, augmentation.elements(self._augment, self._seed, epoch, count)

    def _exposed(self, epoch: int) -> Exposure | None:
        return Exposure.draw(self._exposure, self._store, self._seed, epoch, self.patches_per_epoch)

    def _share(self, step: int) -> range:
        """This rank's positions in the epoch; the first ranks get one more where a batch cannot be divided evenly."""
        first = step * self.batch_size
        each, more = divmod(min(self.batch_size, self.patches_per_epoch - first), self._world)
        begin = first + self._rank * each + min(self._rank, more)
        return range(begin, begin + each + (self._rank < more))

    def _turning(self, elements: np.ndarray | None, positions: np.ndarray) -> list[np.ndarray] | None:
        if elements is None or self._turns is None:
            return None
        return [self._turns[element] for element in elements[positions]]

    def _draws(self, epoch: int, order: np.ndarray, positions: np.ndarray) -> Iterator[np.random.Generator]:
        """Yield the generator of each position's noise; real noise asks for none."""
        if not self._store.copies:
            return generators((self._seed, "train noise", epoch, position) for position in positions.tolist())
        samples = self._index.iloc[order[positions]]
        places, copies = (samples[name].tolist() for name in ("place", "copy"))
        return adding.fixed(self._store.seed, samples["image"].tolist(), places, copies)

    def _pairs(
        self,
        order: np.ndarray,
        positions: np.ndarray,
        turning: list[np.ndarray] | None,
        exposure: Exposure | None,
        draws: Draws,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Noisy and clean patches (N, H, W, C), as the store holds them."""
        rows = self._patch[order[positions]]
        if self._real is not None:
            return augmentation.turned(self._real, rows, turning), augmentation.turned(self._clean, rows, turning)
        if not self._store.copies:
            clean = augmentation.turned(self._clean, rows, turning)
            clean = exposure.darken(clean, positions) if exposure else clean
            return adding.add_each(self._store.noise, clean, draws), clean
        clean = self._clean[rows]
        noisy = adding.add_each(self._store.noise, clean, draws)
        # NOTE: noise that is fixed turns with its patch.
        both = np.arange(len(rows))
        return augmentation.turned(noisy, both, turning), augmentation.turned(clean, both, turning)
