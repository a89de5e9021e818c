"""Every data set by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from degrain.datasets import photos
from degrain.errors import ParamsError, nearest


@dataclass(frozen=True)
class DatasetSpec:
    """One data set.

    Attributes:
        title: One line for tables.
        download: Fetches it into a folder, exactly as published, with a source.json.
        images: Lists its images: columns path (relative to the folder) and source (images of one source, such as two
            views of one scene, always stay on the same side of a split).
    """

    title: str
    download: Callable[[Path], None]
    images: Callable[[Path], pd.DataFrame]


DATASETS: dict[str, DatasetSpec] = {
    "photos": DatasetSpec("Nine color photographs that ship inside scikit-image", photos.download, photos.images),
}


def spec(name: str) -> DatasetSpec:
    """Look a data set up.

    Raises:
        ParamsError: There is none of that name; the message has the nearest.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise ParamsError(f"data.dataset: unknown data set {name!r}{nearest(name, DATASETS)}") from None
