"""The patch store: memory-mapped NumPy arrays, one folder per split.

store.json                     see `degrain.artifacts.store`
images.parquet                 one row per image: path, source, unit of evidence, side, photograph (its name)
train/clean.npy                uint8 or uint16 (patches, size, size, channels)
train/noisy.npy                the same, only where the noise is real
train/index.parquet            one row per sample: image, source, top, left, patch (row of the arrays), copy
val/, test/                    the same, always with noisy.npy: float32 in 8-bit levels when noise is not clipped
photographs/<image>/*.npy      clean and noisy of whole test images

Where no image is clean, train/clean.npy holds the noisy ones, and what is called clean elsewhere is their stand-in.
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
from degrain.snapshots import Snapshot

if TYPE_CHECKING:
    from degrain.params.prepare import PrepareParams
    from degrain.params.study import Params

IMAGES = "images.parquet"
# Suffixes of the arrays and tables.
CONTENT = (".npy", ".parquet")


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
    """A whole held-out image: its name, its unit of evidence, and (height, width, channels) arrays as in `Split`."""

    name: str
    unit: str
    clean: np.ndarray
    noisy: np.ndarray


@dataclass(frozen=True)
class PatchStore:
    """A prepared data set.

    Attributes:
        folder: Where it lies.
        record: What its store.json says.
        files: Its arrays and tables, as they were when the store was opened: no others are ever read.
    """

    folder: Path
    record: StoreRecord
    files: Snapshot

    @classmethod
    def open(cls, folder: Path, params: Params | None = None) -> PatchStore:
        """Open a store and read every byte once, before it is used for hours.

        Args:
            folder: Where it lies.
            params: The study that it is to be of; any if absent.

        Raises:
            DataError: There is none, it is damaged, or it was prepared otherwise than the study asks for.
        """
        record = StoreRecord.read(folder / STORE)
        if params:
            check(folder, record, params)
        paths = files.tree(folder, *CONTENT)
        found = Snapshot.take(folder, StoreRecord.again("-f -s"), paths)
        if digest(found.sha256, record.params) != record.sha256:
            raise DataError(f"{folder} is damaged (its checksum is another); {StoreRecord.again('-f -s')}")
        return cls(folder, record, found)

    @classmethod
    def described(cls, folder: Path, params: Params) -> PatchStore:
        """Return a store of which only the record is read, for whoever needs none of its patches.

        Raises:
            DataError: There is none, or it was prepared otherwise than the study asks for.
        """
        record = StoreRecord.read(folder / STORE)
        check(folder, record, params)
        return cls(folder, record, Snapshot.take(folder, StoreRecord.again("-f -s"), []))

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

    def check_manifest(self, sha256: str) -> None:
        """Refuse a store that was made of another manifest.

        Args:
            sha256: Of the manifest that lies there now.

        Raises:
            DataError: It is another one.
        """
        if self.record.manifest_sha256 != sha256:
            raise DataError(
                f"{self.folder} was prepared from another manifest than what is validated; {StoreRecord.again()}"
            )

    def require_unchanged(self) -> None:
        """Refuse to write down what was computed from other bytes than those that this store had when it was opened.

        Raises:
            DataError: A file has been replaced by another, or written to.
        """
        self.files.require_unchanged()

    def split(self, name: str) -> Split:
        """Map one split: "train", "val" or "test".

        Raises:
            DataError: A file has changed since the store was opened, or does not hold what the store says.
        """
        folder = self.folder / name
        clean = self._map(f"{name}/clean.npy")
        noisy = self._map(f"{name}/noisy.npy") if f"{name}/noisy.npy" in self.files.files else None
        index = self._table(f"{name}/index.parquet")
        whole = len(index) == self.counts[name] and len(clean) == index["patch"].max() + 1
        if not whole or (noisy is not None and len(noisy) != len(clean)):
            raise DataError(f"{folder} does not hold {self.counts[name]} samples; {StoreRecord.again('-f -s')}")
        return Split(clean, noisy, index)

    def images(self) -> pd.DataFrame:
        """Read which images were used: one row each.

        Columns: path, source, unit (see `degrain.patches.splits.units`), side, and photograph, the name of what is kept
        whole.

        Raises:
            DataError: The table has changed since the store was opened.
        """
        return self._table(IMAGES)

    def photographs(self) -> list[Photograph]:
        """Map the whole test images, in the order of their names; none where images are no larger than a patch.

        Raises:
            DataError: One has changed since the store was opened.
        """
        kept = self.images().dropna(subset="photograph").sort_values("photograph")
        return [
            Photograph(
                str(name),
                str(unit),
                self._map(f"photographs/{name}/clean.npy"),
                self._map(f"photographs/{name}/noisy.npy"),
            )
            for name, unit in zip(kept["photograph"], kept["unit"], strict=True)
        ]

    def _map(self, name: str) -> np.ndarray:
        """Map an array; the map stays that of these bytes when another file takes the place of this one."""
        with self.files.open(name) as file:
            try:
                np.lib.format.read_magic(file)
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                return np.memmap(file, dtype, "r", file.tell(), shape)
            except ValueError as error:
                raise DataError(f"{self.folder / name} is damaged ({error}); {StoreRecord.again('-f -s')}") from error

    def _table(self, name: str) -> pd.DataFrame:
        with self.files.open(name) as file:
            return pd.read_parquet(file)


def content_digest(folder: Path) -> str:
    """Return the digest of a store's arrays and tables."""
    return files.tree_digest(folder, *CONTENT)


def digest(content: str, params: PrepareParams) -> str:
    """Return the digest of everything that training and evaluation read.

    Args:
        content: See `content_digest`.
        params: The number and the seed of fixed copies are in no array.
    """
    return files.digest([content, params.copies, params.seed]) if params.copies else content


def check(folder: Path, record: StoreRecord, params: Params) -> None:
    """Refuse a store that was prepared otherwise than a study asks for.

    Raises:
        DataError: Some parameters are others, and the text names them; or the code that prepares has changed since.
    """
    if other := record.differences(params):
        raise DataError(
            f"{folder} was prepared with another {' and '.join(other)} than the study asks for; {StoreRecord.again()}"
        )
    if record.code.has_changed:
        raise DataError(f"{folder} was prepared by other code than there is now; {StoreRecord.again()}")
