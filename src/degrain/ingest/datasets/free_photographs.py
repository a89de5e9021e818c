"""Color photographs under free licences, out of Debian's packages of wallpapers, shrunk until they are clean."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from degrain.artifacts.source import RawFile
from degrain.errors import DataError
from degrain.ingest.datasets import listing
from degrain.ingest.datasets.spec import DatasetSpec, Expected
from degrain.ingest.fetching.remote import RemoteFile
from degrain.ingest.formats import zips
from degrain.params.data import DataParams

ARCHIVE = "free-photographs.zip"
# What scripts/free-photographs makes the archive of, and whose each picture is.
TABLE = Path(__file__).with_name("free_photographs.csv")


@dataclass(frozen=True)
class Photograph:
    """One picture of the archive, with its checksum and whose it is.

    Attributes:
        member: Its path in the archive.
        sha256: SHA-256 of its bytes, in hexadecimal.
        licence, credit: As its package states them.
    """

    member: str
    sha256: str
    licence: str
    credit: str

    @property
    def file(self) -> str:
        """Its path in the folder of the data set."""
        return self.member.rpartition("/")[2]


@lru_cache(maxsize=1)
def photographs() -> tuple[Photograph, ...]:
    """Read the table of the pictures."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Photograph(row["file"], row["sha256"], row["licence"], row["credit"]) for row in csv.DictReader(file)
        )


def _unpack(folder: Path, fetched: list[RawFile]) -> list[RawFile]:
    """Put each picture beside the archive and remove the archive, so that the record has whose each picture is.

    Raises:
        DataError: The archive is refused, lacks a picture, or has other bytes than the ones pinned here.
    """
    (archive,) = fetched
    opened = zips.Zip(folder / archive.file)
    try:
        records = [_unpacked(opened, photograph, folder, archive.origin) for photograph in photographs()]
    finally:
        opened.close()
    (folder / archive.file).unlink()
    return records


def _unpacked(archive: zips.Zip, photograph: Photograph, folder: Path, origin: str) -> RawFile:
    content = archive.read(photograph.member)
    if hashlib.sha256(content).hexdigest() != photograph.sha256:
        raise DataError(f"{ARCHIVE}::{photograph.member} is not the pinned picture; run: scripts/free-photographs")
    (folder / photograph.file).write_bytes(content)
    return RawFile(
        file=photograph.file,
        bytes=len(content),
        sha256=photograph.sha256,
        origin=f"{origin}::{photograph.member}",
        credit=photograph.credit,
        licence=photograph.licence,
    )


def _images(_: Path, __: DataParams) -> pd.DataFrame:
    names = (photograph.file for photograph in photographs())
    return listing.table({"path": name, "source": Path(name).stem} for name in names)


FREE_PHOTOGRAPHS = DatasetSpec(
    title="35 color photographs under free licences, shrunk until they are clean",
    origin="wallpapers in Debian 12: mate-backgrounds 1.26.0-1, plasma-workspace-wallpapers 4:5.27.5-2, "
    "lomiri-wallpapers-16.04 and -20.04 20.04.0-2; `scripts/free-photographs` makes the archive of them",
    licence="CC0, CC BY, CC BY-SA, LGPL or GPL; source.json says which for each",
    citation="the photographers, by name in source.json",
    images=_images,
    expected=Expected(channels=(3,), side=(680, 1400)),
    split="By photograph: a share for validation, a share for the test.",
    problems=(
        "They are JPEG files of quality 96 without chroma subsampling, made of JPEG files: what compression artifacts "
        "shrinking by 1.5 to 4.3 left over count as detail.",
        "Debian's copyright file calls all of plasma-workspace-wallpapers GPL-2+; licences and names here are those in "
        "the metadata.json of each wallpaper.",
    ),
    needs="a mirror that holds it; scripts/free-photographs fills one",
    size="16 MB",
    files=(
        RemoteFile(
            ARCHIVE,
            f"denoising/{ARCHIVE}",
            size=15_551_771,
            sha256="3462de8404b38f0061d7532cc8784bcfbd76bfa3afc98c4577e4d8ef619e9e6c",
        ),
    ),
    unpack=_unpack,
)
