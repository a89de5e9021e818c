"""What is done to an image between its file and the result: read, cut, denoised, changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from degrain.errors import DataError, ParamsError
from degrain.inference.denoiser import Denoiser
from degrain.ingest.formats import camera_raw, metadata, reading
from degrain.ingest.formats.picture import Picture
from degrain.patches import loading
from degrain.pixels import MAX_PIXELS, Light

# From a result to another one: uint8 or uint16 (N, H, W, C), type and shape stay.
Change = Callable[[np.ndarray], np.ndarray]

SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


@dataclass(frozen=True)
class Frame:
    """What of each image is denoised.

    Attributes:
        resize: Width and height in pixels that it is resized to first, bilinearly; its aspect ratio is not kept.
        crop: Width and height in pixels of its top left part, of which all the rest is cut off then.
    """

    resize: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None

    @classmethod
    def parse(cls, resize: str, crop: str) -> Frame:
        """Understand what the command line says; "" is None.

        Raises:
            ParamsError: One is no size, or nothing of that size could be cut out.
        """
        frame = cls(_size("--resize", resize), _size("--crop", crop))
        if frame.resize and frame.crop and not _within(frame.crop, frame.resize):
            raise ParamsError(f"--crop {crop} does not fit into --resize {resize}")
        return frame

    def cut(self, picture: Picture, name: str) -> Picture:
        """Return the picture, transparency and all, resized and cropped.

        Args:
            picture: Any.
            name: What messages call it.

        Raises:
            DataError: It is smaller than what is to be cut out.
        """
        pixels = self._cut(picture.pixels, name)
        alpha = None if picture.alpha is None else self._cut(picture.alpha[..., None], name)[..., 0]
        kept, (height, width) = picture.metadata, pixels.shape[:2]
        if kept.exif and (self.resize or self.crop):
            kept = replace(kept, exif=metadata.for_upright(kept.exif, width, height))
        return replace(picture, pixels=pixels, alpha=alpha, metadata=kept)

    def _cut(self, pixels: np.ndarray, name: str) -> np.ndarray:
        if self.resize:
            pixels = loading.resized(pixels, self.resize, "linear")
        if not self.crop:
            return pixels
        height, width = pixels.shape[:2]
        if not _within(self.crop, (width, height)):
            raise DataError(f"{name} has {width}x{height} pixels; --crop {self.crop[0]}x{self.crop[1]} is larger")
        return pixels[: self.crop[1], : self.crop[0]]


WHOLE = Frame()


def _size(option: str, text: str) -> tuple[int, int] | None:
    if not text:
        return None
    found = SIZE.fullmatch(text)
    if not found:
        raise ParamsError(f"{option}: {text!r} is not a width and a height in pixels, such as 342x256")
    width, height = int(found[1]), int(found[2])
    if width * height > MAX_PIXELS:
        raise ParamsError(f"{option}: {text} is more than {MAX_PIXELS // 1_000_000} million pixels")
    return width, height


def _within(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return inner[0] <= outer[0] and inner[1] <= outer[1]


@dataclass(frozen=True)
class Recipe:
    """How images are denoised.

    Attributes:
        denoiser: Of gray or color images.
        tile: Of `Denoiser.image`.
        overlap: Of `Denoiser.image`.
        frame: What of each image is denoised.
        white: The value of white in files of more than 8 bits; None where it is that of the format, or is guessed.
        change: What is done to each result, such as sharpening.
        strength: How much of the noise that the network finds is removed, 0 to 1.
    """

    denoiser: Denoiser
    tile: int
    overlap: int
    frame: Frame = WHOLE
    white: int | None = None
    change: Change | None = None
    strength: float = 1.0

    def read(self, source: Path) -> Picture:
        """Read an image file.

        Raises:
            DataError: As of `reading.read`, its values mean something else than those of the training, or the frame
                does not fit into it.
        """
        return self._fitting(reading.read(source, self.white, guess=True, raw=self._raw), str(source))

    def decode(self, data: bytes, name: str) -> Picture:
        """Read the bytes of an image file; errors are those of `read`.

        Args:
            data: All of them.
            name: What messages call it.
        """
        return self._fitting(reading.decode(data, name, self.white, guess=True, raw=self._raw), name)

    @property
    def _raw(self) -> camera_raw.Mode:
        return "linear" if self.denoiser.light == "linear" else "srgb"

    def _fitting(self, picture: Picture, name: str) -> Picture:
        _check_light(picture.light, self.denoiser.light, name)
        return self.frame.cut(picture, name)

    def denoised(self, picture: Picture, advance: Callable[[int], None] = lambda _: None) -> Picture:
        """Denoise a picture, change the result, and note how much noise was found; also texture, if that is more.

        Args:
            picture: As of `read`.
            advance: Called with the rows of pixels that are finished since the last call.
        """
        made, noise, kept = self.denoiser.denoised(
            picture.pixels, self.tile, self.overlap, self.strength, advance=advance
        )
        told = f", texture of {255 * kept:.1f} levels kept" if kept > noise else ""
        notes = (f"noise of {255 * noise:.1f} levels{told}", *picture.notes)
        return replace(picture, pixels=self.change(made[None])[0] if self.change else made, notes=notes)


def _check_light(found: Light, trained: Light, name: str) -> None:
    """Refuse values that mean something else than those of the training.

    Raises:
        DataError: They do.
    """
    if found != trained:
        words = {"linear": "linear light", "srgb": "the sRGB curve"}
        raise DataError(f"{name} is in {words[found]}, and the model was trained on images in {words[trained]}")
