"""A decoded image file: pixels, and everything about them that is to be kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from degrain.pixels import Light


@dataclass(frozen=True)
class Metadata:
    """What a file says beside pixels, which can be written back.

    Attributes:
        icc: ICC profile; empty if there is none, as are the others.
        exif: Exif as a TIFF structure, without the prefix that JPEG puts before it.
        xmp: XMP packet.
        dpi: Horizontal and vertical resolution in pixels per inch; None if it is not known.
        gamma: Exponent of a PNG file's gAMA chunk, such as 0.45455; None if there is none.
        intent: Rendering intent of a PNG file that is in sRGB; None where it does not say so.
        primaries: CIE x and y of white, red, green and blue, where a PNG (cHRM) or TIFF says so; empty otherwise.
        cicp: Color primaries, transfer function, matrix and whether the range is full, as numbers of ITU-T H.273;
            empty where they are not said.
        texts: The chunks of text of a PNG, as they are there.
        comment: The comment of a JPEG.
    """

    icc: bytes = b""
    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    gamma: float | None = None
    intent: int | None = None
    primaries: tuple[float, ...] = ()
    cicp: tuple[int, ...] = ()
    texts: bytes = b""
    comment: bytes = b""


@dataclass(frozen=True)
class Picture:
    """A decoded image file.

    Attributes:
        pixels: uint8 or uint16 of shape (height, width, channels), upright: 1 channel, 3 in RGB order, or 4 of a packed
            Bayer mosaic in the order R, G1, G2, B. White is the largest value of the type. It may be read-only.
        alpha: Same dtype, shape (height, width), or None when the file has no transparency.
        metadata: What can be written back.
        white: The value of white in the file where that is not the largest one of the type, such as 4095 of 12 bits.
        alpha_white: The same of alpha.
        light: What values stand for.
        notes: What was converted or left out, and what was guessed, in a few words each.
        suffix: That of files of its format, such as ".jpg", whatever its name is; empty where it came from no file.
        shooting: What a camera raw file says of how it was taken, see `camera_raw.read`; empty of other files.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    metadata: Metadata = Metadata()
    white: int | None = None
    alpha_white: int | None = None
    light: Light = "srgb"
    notes: tuple[str, ...] = ()
    suffix: str = ""
    shooting: dict[str, Any] = field(default_factory=dict)

    @property
    def maximum(self) -> int:
        """The value of white: 255 or 65535."""
        return int(np.iinfo(self.pixels.dtype).max)
