"""Noise by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from degrain.api import images
from degrain.api.checking import checked
from degrain.api.images import ImageT
from degrain.declaration import kind_of
from degrain.errors import DataError, ParamsError
from degrain.noise import adding
from degrain.noise.base import Noise
from degrain.noise.catalog import KINDS, AnyNoise
from degrain.randomness import generators


def list_noise() -> list[str]:
    """List the kinds of noise that can be added to an image; docs/params.md has the options of each.

    Examples:
        >>> import degrain
        >>> "gaussian" in degrain.list_noise()
        True
    """
    return sorted(tag[1] for kind in KINDS if _is_drawn(kind) and (tag := kind_of(kind)))


def add_noise(image: ImageT, kind: str = "gaussian", *, seed: int = 0, **options: Any) -> ImageT:
    """Add noise to images.

    Args:
        image: NumPy array (H, W), (H, W, C) or (N, H, W, C), or torch tensor (H, W), (C, H, W) or (N, C, H, W); uint8,
            uint16, or float with black 0 and white 1.
        kind: Of `list_noise`.
        seed: A non-negative integer. The same seed gives the same noise; image i of a batch has noise of its own.
        options: Those of `prepare.noise` in params.yaml, such as `sigma=25` or `sigma=(5, 50)` for gaussian noise.
            Strengths are in 8-bit levels (white = 255) whatever the dtype, or as the option's text says.

    Returns:
        The same shape, dtype and device. Values are clipped to black and white, and integers rounded. With `clip=False`
        (where the kind has that option) values of float images go beyond; integer images are refused.

    Raises:
        DataError: It is no such image, or the kind cannot be added to one of so many channels.
        ParamsError: There is no such kind or option (the message has the nearest name), or a value is impossible.

    Examples:
        >>> import numpy as np
        >>> import degrain
        >>> clean = np.full((64, 64, 3), 128, np.uint8)
        >>> noisy = degrain.add_noise(clean, "gaussian", sigma=25, seed=1)
        >>> noisy.dtype, round(float(noisy.std()))
        (dtype('uint8'), 25)
    """
    noise: Noise = checked(AnyNoise, {"kind": kind, **options}, "prepare", "noise")
    if not _is_drawn(type(noise)):
        raise ParamsError(f"{kind} noise is that of a data set, and cannot be added to an image")
    if not isinstance(seed, int) or seed < 0:
        raise ParamsError(f"seed is {seed!r}: it is a non-negative integer")
    given = images.of(image)
    if not noise.accepts(given.channels):
        raise DataError(f"{kind} noise cannot be added to images of {given.channels} channels")
    if not (noise.clipped or given.is_float):
        raise ParamsError(f"clip=False needs a float image: {given.pixels.dtype} cannot hold what is below black")
    draws = generators((seed, "added noise", number) for number in range(len(given.pixels)))
    if not given.is_float:
        return given.like(adding.add_each(noise, given.pixels, draws))
    # NOTE: what is clipped is rounded to 8 bits, too, and a float image is not.
    unclipped = noise.model_copy(update={"clip": False}) if hasattr(noise, "clip") else noise
    noisy = adding.add_each(unclipped, given.pixels, draws) / np.float32(255)
    return given.like(np.clip(noisy, 0, 1) if noise.clipped else noisy)


def _is_drawn(kind: type[Noise]) -> bool:
    """Whether a kind is drawn, and not that of a data set."""
    return not (kind.paired or kind.stand_in)
