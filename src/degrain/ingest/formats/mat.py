"""Numeric arrays in MATLAB files: SIDD's blocks and raw images.

The header says whether a file is of version 5 or 7.3. Announced sizes are checked before memory is allocated.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from degrain.errors import DataError
from degrain.ingest.formats import archives, mat_v5, mat_v73
from degrain.ingest.formats.bayer import pack_bayer
from degrain.ingest.formats.mat_v5 import Variable
from degrain.ingest.formats.picture import Picture
from degrain.pixels import Light

# The CFA of SIDD's phones, which its raw .MAT files do not say (Abdelhamed, Lin, Brown, CVPR 2018).
PHONE_PATTERNS = {"GP": "bggr", "IP": "rggb", "S6": "grbg", "N6": "bggr", "G4": "bggr"}

_VERSIONS = {b"\x00\x01IM": "5", b"\x00\x02IM": "7.3"}


def read(
    source: Path | bytes, name: str = "", variable: str | None = None, limit: int = archives.LIMITS.memory
) -> np.ndarray:
    """Read one numeric array from a file of version 5 or 7.3, as its header says.

    Args:
        source: A file, or its bytes.
        name: What messages call it; by default the path.
        variable: Which array; may be left out where there is only one.
        limit: The most bytes that the array may have.

    Returns:
        The array with MATLAB's order of axes, in Fortran's order in memory.

    Raises:
        DataError: The file is missing, damaged, truncated, no MATLAB file, too large, or holds no such array.
    """
    name = _name(source, name)
    with _opened(source) as file:
        version = _version(file, name)
    return (read_v5 if version == "5" else read_v73)(source, name, variable, limit)


def read_v5(
    source: Path | bytes, name: str = "", variable: str | None = None, limit: int = archives.LIMITS.memory
) -> np.ndarray:
    """Read one numeric array from a file of version 5, compressed or not; see `read`."""
    name = _name(source, name)
    with _opened(source) as file, _damage(name):
        return mat_v5.read(file, _chooser(name, variable, limit))


def read_v73(
    source: Path | bytes, name: str = "", variable: str | None = None, limit: int = archives.LIMITS.memory
) -> np.ndarray:
    """Read one numeric array from a file of version 7.3; see `read`. Links out of the file are refused."""
    name = _name(source, name)
    with _opened(source) as file, _damage(name):
        return mat_v73.read(file, _chooser(name, variable, limit))


def picture(array: np.ndarray, pattern: str | None, name: str) -> Picture:
    """Make a picture of an array.

    Args:
        array: (height, width) or (height, width, 1, 3 or 4): uint8, uint16, or floating-point in [0, 1], which becomes
            uint16 with 1.0 as 65535.
        pattern: The CFA of a mosaic that is to be packed; see `bayer.pack_bayer`.
        name: What messages call it.

    Raises:
        DataError: It has another shape, type or range.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise DataError(f"{name} holds an array of shape {array.shape}, not an image")
    pixels = np.ascontiguousarray(_whole(array, name))
    if pattern is None:
        return Picture(pixels if pixels.ndim == 3 else pixels[..., None], light=_light(array))
    if pixels.ndim != 2:
        raise DataError(f"{name} cannot be packed as {pattern!r}: it is no mosaic")
    return Picture(pack_bayer(pixels, pattern), light="linear")


def _light(array: np.ndarray) -> Light:
    """SIDD's raw images are floating-point values, and its sRGB images are not."""
    return "linear" if array.dtype.kind == "f" else "srgb"


def _whole(array: np.ndarray, name: str) -> np.ndarray:
    """Return 8- and 16-bit values as they are, and floating-point ones in [0, 1] as uint16."""
    if array.dtype in (np.uint8, np.uint16):
        return array
    if array.dtype.kind != "f":
        raise DataError(f"{name} holds {array.dtype} values; only uint8, uint16 and floating-point ones are supported")
    least, most = float(array.min()), float(array.max())
    if np.isnan(least):
        raise DataError(f"{name} holds NaN")
    if least < 0 or most > 1:
        raise DataError(f"{name} holds values from {least:.6g} to {most:.6g}; those of raw images lie in [0, 1]")
    scaled: np.ndarray = np.rint(array * np.float32(65535)).astype(np.uint16)
    return scaled


def _name(source: Path | bytes, name: str) -> str:
    return name or (str(source) if isinstance(source, Path) else "the MATLAB file")


@contextmanager
def _opened(source: Path | bytes) -> Iterator[IO[bytes]]:
    with archives.opened(source) if isinstance(source, Path) else io.BytesIO(source) as file:
        yield file


@contextmanager
def _damage(name: str) -> Iterator[None]:
    """Turn whatever the libraries raise over a damaged file into one line."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{name} is damaged: {' '.join(str(error).split()) or type(error).__name__}") from error


def _version(file: IO[bytes], name: str) -> str:
    header = file.read(mat_v5.HEADER)
    version = _VERSIONS.get(header[124:]) if header[:6] == b"MATLAB" else None
    if version is None:
        raise DataError(f"{name} is no MATLAB file of version 5 or 7.3 (little-endian)")
    return version


def _chooser(name: str, wanted: str | None, limit: int) -> Callable[[list[Variable]], Variable]:
    """Return what picks a variable and refuses one that cannot be read."""

    def choose(variables: list[Variable]) -> Variable:
        found = [variable for variable in variables if wanted in (None, variable.name)]
        if len(found) != 1:
            names = ", ".join(sorted(variable.name for variable in variables)) or "none"
            which = "no array" if not found else "several arrays"
            raise DataError(
                f"{name} holds {which} {f'named {wanted!r}' if wanted else 'to read'}; numeric are: {names}"
            )
        chosen = found[0]
        if not chosen.bytes:
            raise DataError(f"{name}: the array {chosen.name!r} is empty")
        if chosen.bytes > limit:
            raise DataError(f"{name} says that it holds {chosen.bytes} bytes; more than {limit} are refused")
        return chosen

    return choose
