"""What values stand for, by what a file says of its tone curve: light itself, or a curve close to that of sRGB.

A curve is judged by the exponent that it has at a few grays: 1 is light itself, sRGB has 2.2 to 2.3 there, and profiles
of screens and of paper lie between 1.3 and 2.9. Anything else (PQ and HLG of HDR, a curve the wrong way around) is
refused: a network would see pictures that are unlike those it was trained on.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

from PIL import Image, ImageCms

from degrain.errors import DataError
from degrain.pixels import Light

_LINEAR, _LIKE_SRGB = (0.9, 1.1), (1.3, 2.9)
# 8-bit grays at which a curve is looked at.
_GRAYS = (64, 128, 192)
# Transfer functions of ITU-T H.273 that are close to the sRGB curve; 2 is "not specified".
_TRANSFERS: dict[int, Light] = dict.fromkeys((1, 2, 4, 5, 6, 7, 11, 12, 13, 14, 15, 17), "srgb")
_TRANSFERS[8] = "linear"
_HDR = {16: "PQ", 18: "HLG"}
_SPACES = {"RGB": "RGB", "GRAY": "L"}


def of_exponent(exponent: float, what: str, name: str) -> Light:
    """Judge a curve by its exponent: light is value ** exponent.

    Args:
        exponent: Such as 2.2.
        what: What says so, for the message.
        name: What messages call the file.

    Raises:
        DataError: The curve is neither linear nor close to that of sRGB.
    """
    return _of_exponents([exponent], what, name)


def of_curve(light: Sequence[float], what: str, name: str) -> Light:
    """Judge a curve given as the light, 0 to 1, at values that are evenly spaced from 0 to 1; else as `of_exponent`."""
    exponents = _exponents_of(light, _GRAYS)
    return _of_exponents(exponents, what, name) if exponents else "srgb"


def middle_exponent(light: Sequence[float]) -> float | None:
    """Return the exponent that a curve, as of `of_curve`, has in its middle; None where it has too few points."""
    return next(iter(_exponents_of(light, _GRAYS[1:2])), None)


def _exponents_of(light: Sequence[float], grays: Sequence[int]) -> list[float]:
    """The exponents of a curve at some grays; none where it has too few points."""
    last = len(light) - 1
    places = [round(gray / 255 * last) for gray in grays] if last > 2 else []
    return [_exponent(place / last, light[place]) for place in places if 0 < place < last]


def of_transfer(code: int, name: str) -> Light:
    """Judge a transfer function by its number in ITU-T H.273; else as `of_exponent`."""
    if code not in _TRANSFERS:
        kind = f"{_HDR[code]}, as of HDR" if code in _HDR else "not supported"
        raise DataError(f"{name} has the transfer function {code} (ITU-T H.273): {kind}; sRGB and linear light are")
    return _TRANSFERS[code]


def of_profile(icc: bytes, name: str) -> Light:
    """Judge an ICC profile of gray or RGB by the light that LittleCMS makes of a few grays; else as `of_exponent`.

    Args:
        icc: The profile; without one, or with one of other colors than gray and RGB, values are taken for sRGB.
        name: What messages call the file.
    """
    return _of_exponents(_exponents(icc), "color profile", name) if icc else "srgb"


def colors_of(icc: bytes) -> str:
    """Return the colors that a profile is of, such as RGB, GRAY or CMYK; nothing where it cannot be read."""
    try:
        return str(ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space).strip()
    except Exception:  # damaged profiles make Pillow raise whatever comes
        return ""


def _of_exponents(exponents: Iterable[float], what: str, name: str) -> Light:
    found = list(exponents)
    if all(_LINEAR[0] <= exponent <= _LINEAR[1] for exponent in found) and found:
        return "linear"
    if any(not _LIKE_SRGB[0] <= exponent <= _LIKE_SRGB[1] for exponent in found):
        worst = max(found, key=lambda exponent: abs(math.log(max(exponent, 1e-3) / 2.2)))
        raise DataError(
            f"{name} has a {what} of about exponent {worst:.2g}; only linear light and curves close to that of sRGB "
            "are supported"
        )
    return "srgb"


def _exponent(value: float, light: float) -> float:
    return math.log(min(max(light, 1e-9), 1)) / math.log(value)


@lru_cache(maxsize=64)
def _exponents(icc: bytes) -> tuple[float, ...]:
    mode = _SPACES.get(colors_of(icc))
    if mode is None:
        return ()
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        lab = ImageCms.createProfile("LAB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.buildTransform(profile, lab, mode, "LAB", intent)
    except Exception:  # damaged profiles make Pillow raise whatever comes
        return ()
    # NOTE: Pillow's images of L*a*b* have 8 bits, 255 for L* = 100.
    grays = [Image.new(mode, (1, 1), gray if mode == "L" else (gray,) * 3) for gray in (*_GRAYS, 255)]
    *found, white = (_luminance(ImageCms.applyTransform(gray, transform)) for gray in grays)  # type: ignore[arg-type]
    if not white:
        return (0.0,)
    return tuple(_exponent(gray / 255, light / white) for gray, light in zip(_GRAYS, found, strict=True))


def _luminance(lab: Image.Image) -> float:
    """The share of white's light that a color has, by its L* (CIE 15)."""
    level = lab.tobytes()[0] / 255 * 100
    return float(((level + 16) / 116) ** 3 if level > 8 else level / 903.3)
