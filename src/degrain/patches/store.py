"""The patch store: memory-mapped NumPy arrays, one folder per split.

store.json                     see `degrain.artifacts.store`
images.parquet                 one row per image: path, source, side
train/clean.npy                uint8 or uint16 (patches, size, size, channels)
train/noisy.npy                the same, only where the noise is real
train/index.parquet            one row per sample: image, source, top, left, patch (row of the arrays), copy
val/, test/                    the same, always with noisy.npy: float32 in 8-bit levels when noise is not clipped
photographs/<image>/*.npy      clean and noisy of whole test images
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
import pandas as pd

from degrain import files
from degrain.artifacts.store import STORE, StoreRecord
from degrain.errors import DataError
from degrain.noise.base import Noise
from degrain.params.prepare import PrepareParams

if TYPE_CHECKING:
    from degrain.params.study import Params

IMAGES = "images.parquet"


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

    def extend(self, rows: np.ndarray) -> None:
        """Write rows (count, *row)."""
        if rows.shape[1:] != self.row or rows.dtype != self.dtype:
            raise ValueError(f"expected rows of {self.row} {self.dtype}, got {rows.shape} {rows.dtype}")
        self._file.write(np.ascontiguousarray(rows).data)
        self.rows += len(rows)

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
        clean: uint8 or uint16 (patches, size, size, channels).
        noisy: The same shape, of the same type or float32 in 8-bit levels; None where noise is drawn while training.
        index: One row per sample: image, source, top, left, patch (its row in the arrays), copy. On the held-out
            sides every sample has a row of its own.
    """

    clean: np.ndarray
    noisy: np.ndarray | None
    index: pd.DataFrame

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class Photograph:
    """A whole held-out image: its name and (height, width, channels) arrays, clean and noisy as in `Split`."""

    name: str
    clean: np.ndarray
    noisy: np.ndarray


@dataclass(frozen=True)
class PatchStore:
    """A prepared data set.

    Attributes:
        folder: Where it lies.
        record: What its store.json says.
    """

    folder: Path
    record: StoreRecord

    @classmethod
    def open(cls, folder: Path) -> PatchStore:
        """Open a store.

        Raises:
            DataError: There is none, or it is damaged.
        """
        return cls(folder, StoreRecord.read(folder / STORE))

    @property
    def patch_size(self) -> int:
        """Side of the patches, in pixels."""
        return self.record.params.patch_size

    @property
    def channels(self) -> int:
        """1, 3, or 4 for a packed Bayer mosaic."""
        return self.record.channels

    @property
    def bits(self) -> int:
        """8 or 16."""
        return self.record.params.bits

    @property
    def noise(self) -> Noise:
        """What val and test were made noisy with, and train is to be."""
        return self.record.params.noise

    @property
    def copies(self) -> int:
        """Fixed noisy copies of each training patch; 0 means fresh noise in every epoch."""
        return self.record.params.copies

    @property
    def seed(self) -> int:
        """Seed of the fixed copies."""
        return self.record.params.seed

    @property
    def leaks(self) -> dict[str, int]:
        """Columns with values on two sides, and how many, where the study asked for a leaky split."""
        return self.record.leaks

    @property
    def counts(self) -> dict[str, int]:
        """Samples of each split."""
        return self.record.counts

    @property
    def sha256(self) -> str:
        """Digest of everything that training and evaluation read."""
        return self.record.sha256

    def check(self, params: Params) -> None:
        """Refuse a store that was prepared otherwise than the study asks for.

        Raises:
            DataError: Some parameters are others; the text names them.
        """
        made, asked = self.record.params, params.prepare
        other = [name for name in PrepareParams.model_fields if getattr(made, name) != getattr(asked, name)]
        if other := [*self.record.asked.differences(params), *other]:
            raise DataError(
                f"{self.folder} was prepared with another {' and '.join(other)} than the study asks for; "
                "run: dvc repro prepare"
            )

    def check_manifest(self, sha256: str) -> None:
        """Refuse a store that was made of another manifest.

        Args:
            sha256: Of the manifest that lies there now.

        Raises:
            DataError: It is another one.
        """
        if self.record.manifest_sha256 != sha256:
            raise DataError(
                f"{self.folder} was prepared from another manifest than what is validated; run: dvc repro prepare"
            )

    def verify(self) -> None:
        """Read every byte once, before it is used for hours.

        Raises:
            DataError: An array or a table is not as prepare left it.
        """
        if content_digest(self.folder) != self.sha256:
            raise DataError(f"{self.folder} is damaged (its checksum is another); run: dvc repro -f -s prepare")

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
            raise DataError(f"{folder} is damaged ({error}); run: dvc repro -f -s prepare") from error
        whole = len(index) == self.counts[name] and len(clean) == index["patch"].max() + 1
        if not whole or (noisy is not None and len(noisy) != len(clean)):
            raise DataError(f"{folder} does not hold {self.counts[name]} samples; run: dvc repro -f -s prepare")
        return Split(clean, noisy, index)

    def photographs(self) -> list[Photograph]:
        """Map the whole test images, in the order of their names; none where images are no larger than a patch.

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
                for folder in sorted(self.folder.glob("photographs/*"))
            ]
        except (OSError, ValueError) as error:
            raise DataError(f"{self.folder} is damaged ({error}); run: dvc repro -f -s prepare") from error


def content_digest(folder: Path) -> str:
    """Return the digest of a store's arrays and tables."""
    return files.tree_digest(folder, ".npy", ".parquet")
