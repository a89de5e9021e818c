"""What the catalog says of a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from degrain.artifacts.source import RawFile
from degrain.ingest.datasets import near_copies
from degrain.ingest.fetching.remote import RemoteFile
from degrain.params.data import DataParams
from degrain.pixels import Light

# Lists the images of a downloaded folder.
Lister = Callable[[Path, DataParams], pd.DataFrame]


@dataclass(frozen=True)
class Expected:
    """What the images of a data set are like when nothing is wrong; a study's `validate` may say otherwise.

    Attributes:
        counts: Images of each group as published; a group is named by the columns of `count_by`, joined by a slash.
        count_by: Columns whose values name a group, such as part and label.
        channels: Allowed numbers of channels.
        dtypes: Allowed types of the pixels.
        side: Smallest and largest width and height, in pixels.
        min_std: Least standard deviation over an image, in 8-bit levels.
        max_saturated: Largest share of values at 0 or at the maximum.
        psnr: For pairs: least and most PSNR of the noisy against the clean image, in dB.
        min_correlation: For pairs: least correlation of the two at low resolution.
        near_copies: Correlation from which on two images are near-copies, see `degrain.ingest.datasets.near_copies`;
            None where they are not looked for.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    count_by: tuple[str, ...] = ("part",)
    channels: tuple[int, ...] = (1, 3)
    dtypes: tuple[str, ...] = ("uint8",)
    side: tuple[int, int] = (16, 20_000)
    min_std: float = 2.0
    max_saturated: float = 0.5
    psnr: tuple[float, float] = (10.0, 70.0)
    min_correlation: float = 0.8
    near_copies: float | None = near_copies.LIMIT


@dataclass(frozen=True)
class DatasetSpec:
    """One data set.

    Attributes:
        title: One line for tables.
        origin: Who published it, and the version.
        licence: As published.
        citation: What to cite.
        images: Lists its images out of the downloaded folder, see `degrain.ingest.datasets.listing`.
        expected: What they must be like.
        split: How it is split honestly, in words.
        problems: What is known to be wrong with it.
        files: What is downloaded.
        columns: Columns of its listing that say something of every image, beside path, noisy and part.
        parts: The publisher's own parts, of which every image is in one; empty if there are none.
        pairs: Whether its noise is real: every image has a noisy and a clean version.
        needs: What a user must have or do, beyond a network; empty if nothing.
        size: Of the whole download, in words.
        light: What values stand for; None where that is seen when the images are read.
        download: Fetches it into an empty folder and returns what it consists of, for data sets that are no list of
            files.
        unpack: Replaces the downloaded archives by their images and returns what the folder then consists of, for
            images that each have a licence of their own; None where archives stay packed.
        pinned: SHA-256 of each file that `download` fetches, by its name, where they are known.
    """

    title: str
    origin: str
    licence: str
    citation: str
    images: Lister
    expected: Expected
    split: str
    problems: Sequence[str] = ()
    files: tuple[RemoteFile, ...] = ()
    columns: tuple[str, ...] = ("source",)
    parts: tuple[str, ...] = ()
    pairs: bool = False
    needs: str = ""
    size: str = ""
    light: Light | None = "srgb"
    download: Callable[[Path, DataParams], list[RawFile]] | None = None
    unpack: Callable[[Path, list[RawFile]], list[RawFile]] | None = None
    pinned: Mapping[str, str] = field(default_factory=dict)

    @property
    def published(self) -> dict[str, str | None]:
        """SHA-256 of each file that is downloaded, by its name; None where none is published."""
        return {**self.pinned, **{file.name: file.sha256 for file in self.files}}

    @property
    def listed(self) -> tuple[str, ...]:
        """Columns of its listing by which images may be chosen and split."""
        return (*self.columns, *(("part",) if self.parts else ()))
