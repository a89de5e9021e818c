"""Darker training patches: each keeps a part of its light, as if it had been exposed for a shorter time.

Photographs worth publishing are bright; noise is strongest where there was little light.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from degrain.errors import ParamsError
from degrain.noise import srgb
from degrain.patches.store import PatchStore
from degrain.randomness import generator


@dataclass(frozen=True)
class Exposure:
    """How much darker the patches of an epoch become.

    Attributes:
        shares: float32 (positions,): for each position in the epoch the share of its light that the patch keeps.
        light: float32 (white + 1,): linear light of each value that a patch can have.
    """

    shares: np.ndarray
    light: np.ndarray

    @classmethod
    def draw(
        cls, limits: tuple[float, float] | None, store: PatchStore, seed: int, epoch: int, count: int
    ) -> Self | None:
        """Draw shares for an epoch, spread evenly in their logarithm; None if there are no limits.

        Raises:
            ParamsError: The patches of the store cannot become darker: their noise is fixed, or they are not sRGB.
        """
        if limits is None:
            return None
        if store.split("train").noisy is not None or store.copies or store.noise.stand_in:
            raise ParamsError("train.exposure: only patches with fresh noise can become darker; that of these is fixed")
        if store.record.light != "srgb":
            raise ParamsError("train.exposure: only sRGB images can become darker, and these are in linear light")
        least, most = limits
        chance = generator(seed, "exposure", epoch).random(count)
        values = np.arange(1 << store.bits, dtype=np.float32) / ((1 << store.bits) - 1)
        return cls((least * (most / least) ** chance).astype(np.float32), srgb.to_linear(values))

    def tables(self, positions: Iterable[int]) -> np.ndarray:
        """Return the new value for each old one, for the patches at some positions: uint8 or uint16 (N, white + 1)."""
        white = len(self.light) - 1
        darker = [srgb.from_linear(self.shares[position] * self.light) for position in positions]
        tables: np.ndarray = np.rint(np.stack(darker) * white).astype(np.min_scalar_type(white))
        return tables

    def darken(self, patches: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Darken the patches (N, H, W, C) at some positions of the epoch; returns new ones of the same type."""
        darker = np.empty_like(patches)
        for target, patch, table in zip(darker, patches, self.tables(positions.tolist()), strict=True):
            table.take(patch, out=target, mode="clip")
        return darker
