"""Augmentations of pairs by other pairs, or by nothing: the same is done to the noisy and the clean patch.

Sources: Zhang, Cisse, Dauphin, Lopez-Paz, "mixup", ICLR 2018; Yun et al., "CutMix", ICCV 2019; DeVries and Taylor,
"Improved regularization of convolutional neural networks with cutout", 2017. Ranges as in Yilmaz 2020: any share of
either pair, squares with sides of 0.2 to 0.5 of a patch's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from degrain.randomness import generator

SIDES = 0.2, 0.5


@dataclass(frozen=True)
class Mixing:
    """How the patches of an epoch are mixed; all arrays have one row for each position in it.

    Attributes:
        kind: "mixup", "cutmix" or "cutout".
        chosen: bool: whether the patch is mixed.
        partners: int64: the position whose pair it is mixed with.
        shares: float32 in [0, 1): how much of itself is left, for mixup.
        corners: int64 (positions, 2): top and left of the square, for the others.
        sides: int64: side of the square, in pixels.
    """

    kind: str
    chosen: np.ndarray
    partners: np.ndarray
    shares: np.ndarray
    corners: np.ndarray
    sides: np.ndarray

    @classmethod
    def draw(cls, kind: str, probability: float, seed: int, epoch: int, count: int, side: int) -> Self | None:
        """Draw how an epoch of patches of one side is mixed; None for the kind "none"."""
        if kind == "none":
            return None
        draw = generator(seed, "mixing", epoch)
        chosen = draw.random(count) < probability
        partners, shares = draw.integers(count, size=count), draw.random(count, np.float32)
        sides = np.rint(draw.uniform(*SIDES, count) * side).astype(np.int64)
        corners = (draw.random((count, 2)) * (side - sides + 1)[:, None]).astype(np.int64)
        return cls(kind, chosen, partners, shares, corners, sides)

    def needed(self, positions: np.ndarray) -> np.ndarray:
        """Return the positions whose pairs are needed to mix those at some positions, in the order of these."""
        if self.kind == "cutout":
            return positions[:0]
        needed: np.ndarray = self.partners[positions[self.chosen[positions]]]
        return needed

    def mix(self, positions: np.ndarray, patches: np.ndarray) -> np.ndarray:
        """Mix one side of pairs.

        Args:
            positions: int64 (N,): where in the epoch they are.
            patches: float32 (N + M, H, W, C): those, and behind them the M that are needed; changed in place.

        Returns:
            float32 (N, H, W, C).
        """
        partners = iter(patches[len(positions) :])
        for patch, position in zip(patches, positions.tolist(), strict=False):
            if not self.chosen[position]:
                continue
            if self.kind == "mixup":
                share = self.shares[position]
                patch[:] = share * patch + (1 - share) * next(partners)
                continue
            (top, left), side = self.corners[position], self.sides[position]
            square = np.s_[top : top + side, left : left + side]
            patch[square] = 0 if self.kind == "cutout" else next(partners)[square]
        return patches[: len(positions)]
