"""The manifest: one row per image, with everything that is checked before anything is computed from it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from degrain import environment, files
from degrain.errors import DataError
from degrain.images import reading

COLUMNS = {
    "path": "string",
    "source": "string",
    "width": "Int64",
    "height": "Int64",
    "channels": "Int64",
    "dtype": "string",
    "mean": "float64",
    "std": "float64",
    "saturated": "float64",
    "sha256": "string",
    "error": "string",
}


def build(folder: Path, listing: pd.DataFrame, progress: Callable[[], None] = lambda: None) -> pd.DataFrame:
    """Decode every image once and describe it.

    Args:
        folder: The downloaded data set.
        listing: Columns path (relative to folder) and source.
        progress: Called after each image.

    Returns:
        A frame with the columns of `COLUMNS`, in the listing's order. mean and std are in 8-bit levels (0 to 255)
        whatever the depth, saturated is the share of values at 0 or at the maximum. An image that cannot be decoded
        has its reason under error and no statistics.
    """

    def describe(row: tuple[str, str]) -> dict[str, Any]:
        described = _describe(folder, *row)
        progress()
        return described

    with ThreadPoolExecutor(environment.threads()) as pool:
        rows = list(pool.map(describe, zip(listing["path"], listing["source"], strict=True)))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _describe(folder: Path, path: str, source: str) -> dict[str, Any]:
    row: dict[str, Any] = {"path": path, "source": source}
    try:
        picture = reading.read(folder / path)
    except DataError as error:
        # NOTE: without the folder, so that the same data gives the same manifest in every place.
        return row | {"error": str(error).replace(f"{folder.as_posix()}/", "")}
    pixels = picture.pixels
    to_8_bits = 255 / picture.maximum
    return row | {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "channels": pixels.shape[2],
        "dtype": str(pixels.dtype),
        "mean": float(pixels.mean() * to_8_bits),
        "std": float(pixels.std() * to_8_bits),
        "saturated": float(np.mean((pixels == 0) | (pixels == picture.maximum))),
        "sha256": files.sha256(folder / path),
    }


def read(path: Path) -> pd.DataFrame:
    """Read the manifest that the validate stage wrote.

    Raises:
        DataError: It is missing or damaged.
    """
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run: dvc repro validate") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}); run: dvc repro -f validate") from error
