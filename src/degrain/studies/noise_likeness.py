"""Whether noise is the same whatever draws it: on the host, in 8 bits, or on a device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from degrain.catalogs import blaming
from degrain.errors import ParamsError
from degrain.noise.base import Noise
from degrain.pixels import read_only
from degrain.randomness import Draws, generators

# Sides of the patches, in pixels.
SIDES = 16, 20
# Patches by which two ways to draw noise are compared, and how many of them together.
MANY, GROUP = 128, 32
# By what factor and by how many levels deviations may differ, and by how much the correlations of neighbors.
FACTOR, ROUNDED, APART = 2.0, 1.0, 0.25


def patches(channels: int) -> np.ndarray:
    """Return patches: of random whole numbers, then of one level each, from dark to bright.

    Args:
        channels: Of the patches.

    Returns:
        float32 (MANY, H, W, C) in 8-bit levels; those of a `GROUP` go together.
    """
    shape = (MANY, *SIDES, channels)
    made = np.random.default_rng(1).integers(0, 256, shape).astype(np.float32)
    made[GROUP:] = np.linspace(8, 247, MANY - GROUP).round().reshape(-1, 1, 1, 1)
    return made


def draws() -> Draws:
    """Return a generator for each of the patches."""
    return generators((0, "likeness", patch) for patch in range(MANY))


def require_8_bits_alike(file: str, noise: Noise, channels: int) -> None:
    """Refuse noise that is drawn in 8 bits and is another so, see `require_alike`."""
    clean = patches(channels)
    with blaming(file, noise.kind):
        noisy = noise.draw_8_bits(clean.astype(np.uint8), draws())
    require_alike(file, noise, "draw_8_bits", noisy, clean)


def require_alike(file: str, noise: Noise, way: str, noisy: np.ndarray, clean: np.ndarray) -> None:
    """Refuse what another way than `draw` makes of patches if it is clearly of other strength, mean or correlation.

    Args:
        file: Of the noise.
        noise: Kind and strength.
        way: Its name, for the message.
        noisy: (MANY, H, W, C) in 8-bit levels; clipped here, if the noise is.
        clean: Of the same shape, as of `patches`.

    Raises:
        ParamsError: It is another noise.
    """
    with blaming(file, noise.kind), np.errstate(all="ignore"):
        both = [noise.draw(read_only(clean), draws()), noisy]
    if noise.clipped:
        both = [np.clip(one, 0, 255) for one in both]
    for start in range(0, MANY, GROUP):
        group = np.s_[start : start + GROUP]
        wanted, found = (_described(one[group].astype(np.float64) - clean[group]) for one in both)
        if not wanted.is_like(found):
            raise ParamsError(
                f"{file}: {noise.kind} is not the same by {way} as by draw, on patches of the brightness "
                f"{clean[group].mean():.0f}: {found}, and {wanted} by draw"
            )


@dataclass(frozen=True)
class _Described:
    """Noise of some patches, in 8-bit levels.

    Attributes:
        deviation: Of all patches together.
        median: Of the patches' deviations.
        mean: Of all.
        neighbors: Mean correlation of neighbors along rows and columns.
    """

    deviation: float
    median: float
    mean: float
    neighbors: float

    def is_like(self, other: _Described) -> bool:
        """Tell whether both may be the same noise, of which each patch may have another strength, and some none."""
        deviations = ((self.deviation, other.deviation), (self.median, other.median))
        strength = any(max(pair) <= FACTOR * min(pair) + ROUNDED for pair in deviations)
        mean = abs(self.mean - other.mean) <= ROUNDED + max(self.deviation, other.deviation) / 4
        faint = min(self.deviation, other.deviation) <= ROUNDED
        return strength and mean and (faint or abs(self.neighbors - other.neighbors) <= APART)

    def __str__(self) -> str:
        return f"deviation {self.deviation:.3g}, mean {self.mean:.3g}, correlation of neighbors {self.neighbors:.2f}"


def _described(differences: np.ndarray) -> _Described:
    noise = differences - differences.mean(axis=(1, 2), keepdims=True)
    powers = np.square(noise).mean(axis=(1, 2, 3))
    down, along = noise[:, 1:] * noise[:, :-1], noise[:, :, 1:] * noise[:, :, :-1]
    neighbors = (down.mean(axis=(1, 2, 3)) + along.mean(axis=(1, 2, 3))) / (2 * np.maximum(powers, 1e-9))
    return _Described(
        float(np.sqrt(powers.mean())),
        float(np.sqrt(np.median(powers))),
        float(differences.mean()),
        float(neighbors.mean()),
    )
