"""Pictures inside the page, each kind within a budget, so that the page stays below 10 MB whatever the study is."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

# Bytes of the page that each kind of picture may take: 9 MB together. The rest is text, half a megabyte for 300 trials.
PHOTOGRAPHS = 4_500_000
PATCHES = 1_500_000
DRAWINGS = 2_000_000
ANIMATIONS = 750_000
NEAR_COPIES = 250_000
# Above this many whole test images each would be too small to judge: some are shown, evenly spaced.
MOST_PHOTOGRAPHS = 8
# Patches beside each other: first their number is reduced to this, then they are cut.
FEWEST_PATCHES = 3
# A middle of this side tells how much of a larger picture fits, in pixels: a whole photograph takes seconds to encode.
TRIED = 512


def data_uri(picture: bytes, kind: str = "png") -> str:
    """Return a picture as an address that holds it: `kind` is that of its media type, such as png."""
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def png(pixels: np.ndarray) -> bytes:
    """Encode uint8 pixels, (H, W) or (H, W, 3), without loss."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def fitting(sizes: Iterable[int], budget: int) -> int:
    """Return how many of the first things fit into a budget."""
    totals = np.cumsum([*sizes], dtype=np.int64)
    return int(np.searchsorted(totals, budget, side="right"))


@dataclass(frozen=True)
class Cut:
    """Pictures of one size, embedded whole or as much of their middle as fits.

    Attributes:
        addresses: What an <img> shows them by; their pixels are those of the pictures, one by one.
        width, height: Of what is shown, in pixels.
    """

    addresses: list[str]
    width: int
    height: int


def within(pictures: Sequence[np.ndarray], budget: int) -> Cut:
    """Embed pictures without loss.

    Args:
        pictures: uint8 (H, W) or (H, W, 3), all of one size.
        budget: Bytes of the page for all of them; if one pixel of each is too much, that is exceeded.
    """

    def cut(share: float) -> tuple[list[str], int]:
        addresses = [data_uri(png(middle(pixels, share))) for pixels in pictures]
        return addresses, sum(map(len, addresses))

    side = max(pictures[0].shape[:2])
    share = min(1.0, TRIED / side)
    addresses, size = cut(share)
    if share < 1:
        share = min(1.0, share * float(np.sqrt(budget / size)))
        addresses, size = cut(share)
    while size > budget and share * side > 1:
        share *= min(0.95, float(np.sqrt(budget / size)))
        addresses, size = cut(share)
    height, width = middle(pictures[0], share).shape[:2]
    return Cut(addresses, width, height)


def middle(pixels: np.ndarray, share: float) -> np.ndarray:
    """Cut out the middle, whose sides are a share of the picture's, at least one pixel."""
    height, width = (max(1, round(share * side)) for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]
