"""Images by name out of a data set as it was published: plain files, and what lies packed in zip, tar, idx and MATLAB
files. Nothing is unpacked to disk.

A locator names one image, relative to the data set's folder:

    a/b.png                                               an image file: PNG, JPEG, TIFF, camera raw, MATLAB
    fer2013.zip::train/disgust/x.jpg                      such a file in a zip
    train-images-idx3-ubyte.gz::17                        image 17 of an idx file, gzipped or not
    cifar-10-binary.tar.gz::batches/data_batch_1.bin/17   image 17 of a CIFAR-10 batch
    ValidationNoisyBlocksSrgb.mat::3/5                    block [3, 5] of an array of blocks
    SIDD.zip::Data/x/NOISY_RAW_010.MAT::bggr              a mosaic, packed as that Bayer pattern
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import numpy as np

from degrain.errors import DataError
from degrain.ingest.formats import archives, camera_raw, folders, mat, reading, stacks, zips
from degrain.ingest.formats.archives import LIMITS, Limits
from degrain.ingest.formats.bayer import PATTERNS
from degrain.ingest.formats.picture import Picture

log = logging.getLogger(__name__)

T = TypeVar("T")

_TAR = (".tar.gz", ".tgz", ".tar")


class Containers:
    """A data set's folder; any number of threads may read from it at once.

    Zips stay open and stacks of images stay in memory, decoded once, until it is closed.

    Args:
        folder: Where the data set lies.
        raw: What camera raw files become; see `camera_raw.read`.
        limits: What is refused in archives.
        white: The value of white in images of more than 8 bits, such as 4095; None where it is that of the format.
    """

    def __init__(
        self, folder: Path, raw: camera_raw.Mode = "linear", limits: Limits = LIMITS, white: int | None = None
    ) -> None:
        self.folder = folder
        self._raw = raw
        self._white = white
        self._limits = limits
        self._once: _Once[Any] = _Once()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the zips and forget the stacks."""
        for opened in self._once.clear():
            if isinstance(opened, zips.Zip):
                opened.close()

    def read(self, locator: str) -> Picture:
        """Read one image.

        Args:
            locator: Its name; see the module.

        Returns:
            The picture. Floating-point values (raw images in MATLAB files) become uint16, 1.0 being 65535. Pixels of
            stacks are read-only.

        Raises:
            DataError: There is no such image, or it or its container is damaged or refused.
        """
        container, *inner = locator.split("::")
        suffix = container.lower()
        if not inner:
            return self._file(self._path(container), suffix, None)
        if suffix.endswith(".zip"):
            return self._member(container, inner)
        if inner[0].lower() in PATTERNS:
            return self._file(self._path(container), suffix, inner[0])
        if suffix.endswith(".mat"):
            return self._block(container, inner)
        if suffix.endswith(_TAR):
            return self._cifar(container, inner[0])
        return self._idx(container, inner[0])

    def read_many(self, locators: Sequence[str]) -> list[Picture | DataError]:
        """Read images; in place of one that cannot be read stands its error."""
        return [self._try(locator) for locator in locators]

    def names(self, container: str) -> list[str]:
        """List the files in a zip or tar file, once it has passed the safety checks.

        Raises:
            DataError: It is missing, damaged, refused, or no archive.
        """
        if container.lower().endswith(".zip"):
            every = self._zip(container).names
            kept = folders.members(every)
            if len(kept) < len(every):
                log.warning("%s: left out: %d %s", container, len(every) - len(kept), folders.HIDDEN)
            return kept
        if container.lower().endswith(_TAR):
            return list(self._batches(container))
        raise DataError(f"{self._path(container)} is no archive")

    def count(self, container: str) -> int | tuple[int, int]:
        """Count the images of a stack.

        Args:
            container: An idx file, a batch of CIFAR-10 (`cifar-10-binary.tar.gz::batches/test_batch.bin`), or a MATLAB
                file of blocks.

        Returns:
            How many there are; of blocks, the lengths of the first two axes.

        Raises:
            DataError: It is missing, damaged, refused, or no stack.
        """
        file, _, member = container.partition("::")
        if file.lower().endswith(".mat"):
            rows, columns = self._blocks(file).shape[:2]
            return rows, columns
        return len(self._batch(file, member).labels if member else self._images(file))

    def labels(self, container: str) -> np.ndarray:
        """Read the labels of an idx1 file, or of a batch of CIFAR-10: uint8 (images,), read-only.

        Raises:
            DataError: It is missing, damaged, refused, or holds no labels.
        """
        file, _, member = container.partition("::")
        if member:
            return self._batch(file, member).labels
        return stacks.idx_labels(self._path(file), self._limits)

    def _try(self, locator: str) -> Picture | DataError:
        try:
            return self.read(locator)
        except DataError as error:
            return error

    def _path(self, name: str) -> Path:
        reason = archives.fault(name)
        if reason:
            raise DataError(f"{name!r} cannot be read from {self.folder}: it {reason}")
        return self.folder / name

    def _file(self, path: Path, suffix: str, pattern: str | None) -> Picture:
        return self._packed(archives.contents(path), suffix, pattern, str(path))

    def _member(self, container: str, inner: list[str]) -> Picture:
        member, *pattern = inner
        data = self._zip(container).read(member)
        return self._packed(
            data, member.lower(), pattern[0] if pattern else None, f"{self.folder}/{container}::{member}"
        )

    def _packed(self, data: bytes, suffix: str, pattern: str | None, name: str) -> Picture:
        """Decode the bytes of a file by its suffix."""
        with reading.refused(name):
            return self._by_suffix(data, suffix, pattern, name)

    def _by_suffix(self, data: bytes, suffix: str, pattern: str | None, name: str) -> Picture:
        if suffix.endswith(".mat"):
            return mat.picture(mat.read(data, name, limit=self._limits.memory), pattern, name)
        if pattern is not None:
            raise DataError(f"{name} cannot be packed as {pattern!r}: only mosaics in MATLAB files need to be told so")
        if suffix.endswith(camera_raw.SUFFIXES):
            return camera_raw.read(data, self._raw, name)
        return reading.decode(data, name, self._white, raw=self._raw)

    def _zip(self, container: str) -> zips.Zip:
        opened: zips.Zip = self._once.get(container, lambda: zips.Zip(self._path(container), self._limits))
        return opened

    def _block(self, container: str, inner: list[str]) -> Picture:
        blocks = self._blocks(container)
        name = f"{self.folder}/{container}::{inner[0]}"
        row, column = _index(inner[0], blocks.shape[:2], name)
        return mat.picture(blocks[row, column], inner[1] if len(inner) > 1 else None, name)

    def _blocks(self, container: str) -> np.ndarray:
        blocks: np.ndarray = self._once.get(container, lambda: self._read_blocks(self._path(container)))
        return blocks

    def _read_blocks(self, path: Path) -> np.ndarray:
        # NOTE: MATLAB's order in memory strews each image over the whole array. Taking one out takes 2 ms of 256x256x3
        # (decoding a PNG of that size does, too); turning the array around would need twice its memory.
        blocks = mat.read(path, limit=self._limits.memory)
        if blocks.ndim not in (4, 5) or (blocks.ndim == 5 and blocks.shape[4] != 3):
            raise DataError(f"{path} holds an array of shape {blocks.shape}, not rows x columns of images")
        return blocks

    def _cifar(self, container: str, inner: str) -> Picture:
        member, _, index = inner.rpartition("/")
        planes = self._batch(container, member).planes
        (number,) = _index(index, planes.shape[:1], f"{self.folder}/{container}::{inner}")
        return Picture(np.ascontiguousarray(planes[number].transpose(1, 2, 0)))

    def _batch(self, container: str, member: str) -> stacks.CifarBatch:
        batch = self._batches(container).get(member)
        if batch is None:
            raise DataError(f"{self.folder}/{container} has no batch {member!r}")
        return batch

    def _batches(self, container: str) -> dict[str, stacks.CifarBatch]:
        batches: dict[str, stacks.CifarBatch] = self._once.get(
            container, lambda: stacks.cifar_batches(self._path(container), self._limits)
        )
        return batches

    def _idx(self, container: str, inner: str) -> Picture:
        images = self._images(container)
        (number,) = _index(inner, images.shape[:1], f"{self.folder}/{container}::{inner}")
        return Picture(images[number][..., None])

    def _images(self, container: str) -> np.ndarray:
        images: np.ndarray = self._once.get(container, lambda: stacks.idx_images(self._path(container), self._limits))
        return images


def _index(text: str, lengths: tuple[int, ...], name: str) -> tuple[int, ...]:
    """Parse "3/5" and check it against the lengths of the axes."""
    parts = text.split("/")
    if len(parts) != len(lengths) or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        example = "/".join("0" * len(lengths))
        raise DataError(f"{name} must end with the number of an image, as in {example}")
    numbers = tuple(int(part) for part in parts)
    if any(number >= length for number, length in zip(numbers, lengths, strict=True)):
        raise DataError(f"{name} does not exist: there are {' x '.join(map(str, lengths))} images")
    return numbers


class _Once(Generic[T]):
    """Makes a value once for each key, however many threads ask for it; an error in the data is kept, too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, Future[T | DataError]] = {}

    def get(self, key: str, make: Callable[[], T]) -> T:
        """Return the value, or raise the error, that making it gave."""
        future = self._made.get(key)
        if future is None:
            with self._lock:
                mine = key not in self._made
                future = self._made.setdefault(key, Future())
            if mine:
                self._make(key, make, future)
        made = future.result()
        if isinstance(made, DataError):
            raise DataError(str(made))  # a new one: each raise would lengthen the traceback of the old one
        return made

    def _make(self, key: str, make: Callable[[], T], future: Future[T | DataError]) -> None:
        try:
            future.set_result(make())
        except DataError as error:
            future.set_result(error)
        except BaseException as error:
            del self._made[key]
            future.set_exception(error)

    def clear(self) -> list[T]:
        """Forget everything; return the values."""
        with self._lock:
            made = [future.result() for future in self._made.values() if future.done()]
            self._made = {}
        return [value for value in made if not isinstance(value, DataError)]
