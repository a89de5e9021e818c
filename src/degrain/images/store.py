"""The patch store: memory-mapped NumPy arrays, one folder per split.

store.json                     patch size, channels, noise, seed, number of patches, digest of the contents
train/clean.npy                uint8 (patches, size, size, channels)
train/index.parquet            one row per patch: image, source, top, left
val/, test/                    the same with noisy.npy: uint8, or float32 in 8-bit levels when noise is not clipped
photographs/<image>/*.npy      clean and noisy of each whole test image
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import pandas as pd

from degrain import files
from degrain.errors import DataError
from degrain.params import NoiseParams

STORE = "store.json"


class PatchWriter:
    """Appends rows to a .npy file whose length need not be known before.

    Args:
        path: The file to write.
        row: Shape of one row.
        dtype: Its type.
    """

    def __init__(self, path: Path, row: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.path, self.row, self.dtype, self.rows = path, row, dtype, 0

    def __enter__(self) -> Self:
        self._file: BinaryIO = self.path.open("wb")
        self._write_header()
        return self

    def append(self, patch: np.ndarray) -> None:
        """Write one row."""
        if patch.shape != self.row or patch.dtype != self.dtype:
            raise ValueError(f"expected {self.row} {self.dtype}, got {patch.shape} {patch.dtype}")
        self._file.write(np.ascontiguousarray(patch).data)
        self.rows += 1

    def _write_header(self) -> None:
        # NOTE: NumPy pads the header so that the first axis can grow in place.
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(
            self._file,
            {"descr": self.dtype.str, "fortran_order": False, "shape": (self.rows, *self.row)},
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                self._write_header()


@dataclass(frozen=True)
class Split:
    """One side of the store, memory-mapped and read-only.

    Attributes:
        clean: uint8 (patches, size, size, channels).
        noisy: The same shape, uint8 or float32 in 8-bit levels; None for train, whose noise is drawn each epoch.
        index: One row per patch: image, source, top, left.
    """

    clean: np.ndarray
    noisy: np.ndarray | None
    index: pd.DataFrame

    def __len__(self) -> int:
        return len(self.clean)


@dataclass(frozen=True)
class Photograph:
    """A whole held-out image: its name and (height, width, channels) arrays, clean uint8 and noisy as in `Split`."""

    name: str
    clean: np.ndarray
    noisy: np.ndarray


@dataclass(frozen=True)
class PatchStore:
    """A prepared data set.

    Attributes:
        folder: Where it lies.
        patch_size: Side of the patches, in pixels.
        channels: 1 or 3.
        noise: What val and test were made noisy with, and train is to be.
        sha256: Digest of everything that training and evaluation read.
        counts: Patches of each split.
        sources: Sources of each split.
    """

    folder: Path
    patch_size: int
    channels: int
    noise: NoiseParams
    sha256: str
    counts: dict[str, int]
    sources: dict[str, list[str]]

    @classmethod
    def open(cls, folder: Path) -> PatchStore:
        """Open a store.

        Raises:
            DataError: There is none, or it is damaged.
        """
        described = files.read_json(folder / STORE)
        try:
            return cls(
                folder,
                described["patch_size"],
                described["channels"],
                NoiseParams(**described["noise"]),
                described["sha256"],
                described["counts"],
                described["sources"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{folder / STORE} is damaged; run: dvc repro -f prepare") from error

    def split(self, name: str) -> Split:
        """Map one split: "train", "val" or "test".

        Raises:
            DataError: An array is missing, damaged, or shorter than the store says.
        """
        folder = self.folder / name
        try:
            clean = np.load(folder / "clean.npy", mmap_mode="r")
            noisy = np.load(folder / "noisy.npy", mmap_mode="r") if (folder / "noisy.npy").exists() else None
            index = pd.read_parquet(folder / "index.parquet")
        except (OSError, ValueError) as error:
            raise DataError(f"{folder} is damaged ({error}); run: dvc repro -f prepare") from error
        if len(clean) != self.counts[name] or len(index) != len(clean):
            raise DataError(f"{folder} does not hold {self.counts[name]} patches; run: dvc repro -f prepare")
        return Split(clean, noisy, index)

    def photographs(self) -> list[Photograph]:
        """Map the whole test images, in the order of their names.

        Raises:
            DataError: One is missing or damaged.
        """
        try:
            return [
                Photograph(
                    folder.name,
                    np.load(folder / "clean.npy", mmap_mode="r"),
                    np.load(folder / "noisy.npy", mmap_mode="r"),
                )
                for folder in sorted((self.folder / "photographs").iterdir())
            ]
        except (OSError, ValueError) as error:
            raise DataError(f"{self.folder} is damaged ({error}); run: dvc repro -f prepare") from error


def content_digest(folder: Path) -> str:
    """Return the digest of a store's arrays and indices: of each file's relative path and bytes."""
    arrays = sorted(path for path in folder.rglob("*") if path.suffix in (".npy", ".parquet"))
    return files.digest({path.relative_to(folder).as_posix(): files.sha256(path) for path in arrays})
