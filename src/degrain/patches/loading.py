"""From a manifest's row to the arrays that patches are cut from: read, color, resize."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from degrain.errors import DataError
from degrain.ingest.formats import identity
from degrain.ingest.formats.containers import Containers
from degrain.params.prepare import PrepareParams
from degrain.pixels import to_8_bits, to_16_bits

METHODS = {
    "area": cv2.INTER_AREA,
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}


@dataclass(frozen=True)
class Loaded:
    """An image ready to be cut: clean, and its noisy partner where there is one, both (height, width, channels).

    Where no image is clean, what is called clean is the noisy image on the training side, and what stands in for the
    truth on the others.
    """

    path: str
    source: str
    clean: np.ndarray
    noisy: np.ndarray | None


def load(containers: Containers, rows: Sequence[Any], params: PrepareParams) -> list[Loaded]:
    """Read images.

    Args:
        containers: The downloaded data set.
        rows: Rows of the manifest: path, source, sha256, noisy (a locator, or NA) and noisy_sha256.
        params: Color, bits and resize.

    Raises:
        DataError: An image has changed since it was validated.
    """
    real = params.noise.paired
    clean = containers.read_many([row.path for row in rows])
    noisy = containers.read_many([row.noisy for row in rows]) if real else [None] * len(rows)
    return [
        Loaded(
            row.path,
            row.source,
            _ready(target, row.path, row.sha256, params),
            None if partner is None else _ready(partner, row.noisy, row.noisy_sha256, params),
        )
        for row, target, partner in zip(rows, clean, noisy, strict=True)
    ]


def _ready(picture: Any, name: str, sha256: str, params: PrepareParams) -> np.ndarray:
    if isinstance(picture, DataError):
        raise picture
    if identity.digest(picture.pixels) != sha256:
        raise DataError(f"{name} is not the image that was validated; run: dvc repro validate")
    pixels = colored(picture.pixels, params.color)
    pixels = to_8_bits(pixels) if params.bits == 8 else to_16_bits(pixels)
    if params.resize:
        for size in filter(None, (params.resize.via, params.resize.size)):
            pixels = resized(pixels, size, params.resize.method)
    return pixels


def colored(pixels: np.ndarray, color: str) -> np.ndarray:
    """Turn pixels to gray (ITU-R BT.601 luma) or to RGB.

    Args:
        pixels: uint8 or uint16 (height, width, 1, 3 or 4).
        color: "keep", "gray" or "rgb".

    Raises:
        DataError: The image is a packed Bayer mosaic.
    """
    channels = pixels.shape[2]
    if color == "keep" or channels == {"gray": 1, "rgb": 3}[color]:
        return pixels
    if channels == 4:
        raise DataError(f"a Bayer mosaic cannot be turned to {color}; set prepare.color: keep or data.raw: linear")
    code = cv2.COLOR_RGB2GRAY if color == "gray" else cv2.COLOR_GRAY2RGB
    return cv2.cvtColor(pixels, code).reshape(*pixels.shape[:2], -1)


def resized(pixels: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    """Resize by OpenCV.

    Args:
        pixels: uint8 or uint16 (height, width, channels).
        size: Width and height; the aspect ratio is not kept.
        method: A name of `METHODS`.

    Returns:
        The same type and number of channels.
    """
    if pixels.shape[1::-1] == size:
        return pixels
    width, height = size
    return cv2.resize(pixels, size, interpolation=METHODS[method]).reshape(height, width, pixels.shape[2])
