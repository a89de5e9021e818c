"""The manifest: one row per image or pair, with everything that is checked before anything is computed from it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd

from degrain import files, parallel
from degrain.artifacts.code import Code
from degrain.artifacts.validation import VALIDATION, Asked, Expectation, NearCopies, Validation
from degrain.errors import DataError
from degrain.ingest.datasets import listing, near_copies
from degrain.ingest.datasets.near_copies import Pair
from degrain.ingest.formats import identity, writing
from degrain.ingest.formats.containers import Containers
from degrain.ingest.formats.picture import Picture
from degrain.machine import compute
from degrain.snapshots import Snapshot

if TYPE_CHECKING:
    from degrain.params.study import Params

MANIFEST = "manifest.parquet"
PAIRS = "near_copies"

COLUMNS = {
    **dict.fromkeys(listing.COLUMNS, "string"),
    "width": "Int64",
    "height": "Int64",
    "channels": "Int64",
    "dtype": "string",
    "iso": "float64",
    "mean": "float64",
    "std": "float64",
    "saturated": "float64",
    "highest": "float64",
    "light": "string",
    "sha256": "string",
    "duplicate_of": "string",
    "noisy_sha256": "string",
    "same_size": "boolean",
    "psnr": "float64",
    "correlation": "float64",
    "shared_with": "string",
    "near_copies": "string",
    "error": "string",
}

# At most so many images are handed to a thread at once; it holds one of the large ones (or one pair) in memory.
GROUP = 64
SMALL = 1 << 14  # values
# Name and white of the types that pixels have.
DEPTHS = {np.dtype(np.uint8): ("uint8", 255), np.dtype(np.uint16): ("uint16", 65535)}
# Pairs of near-copies that the record names.
NAMED_PAIRS = 1000
# Side of the small version by which two images are found to show the same scene, in pixels.
LOW_SIDE = 16


def build(
    containers: Containers,
    listed: pd.DataFrame,
    limit: float | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[pd.DataFrame, list[Pair]]:
    """Decode every image once and describe it.

    Args:
        containers: The downloaded data set.
        listed: Its listing, see `degrain.ingest.datasets.listing`.
        limit: Correlation from which on two images are near-copies; None is not to look for any.
        progress: Called with how many more images are done.

    Returns:
        A frame with the columns of `COLUMNS`, in the listing's order. They speak of the image itself, of a pair's
        clean one: mean and std in 8-bit levels (0 to 255) whatever the depth, saturated the share of values at 0 or at
        the maximum, sha256 of the decoded pixels, duplicate_of the first image (of a pair: noisy image) with the same
        pixels, light what values stand for ("srgb" or "linear"), highest of 16-bit images the largest value in 8-bit
        levels. Of a pair: same_size, psnr in dB, correlation of the two at low resolution (NA where both are flat),
        shared_with another instance that has the same clean image and fits it better. Of a camera raw file: camera and
        iso. An image that cannot be decoded has its reason under error and no statistics. near_copies names, for all
        images of a group of near-copies, the first one. The pairs of near-copies are the second value, by the numbers
        of rows, the least alike first; of exact duplicates only the first counts.
    """

    def describe(group: Sequence[Any]) -> list[dict[str, Any]]:
        return _describe(containers, group)

    rows: list[dict[str, Any]] = []
    descriptors = np.zeros((len(listed), len(near_copies.NOTHING)), np.float32)
    listed_rows = listed.astype("object").itertuples(index=False)
    size = max(1, min(GROUP, len(listed) // GROUP))
    groups = iter(lambda: list(itertools.islice(listed_rows, size)), [])
    for described in parallel.ordered(describe, groups, _threads(containers, listed)):
        for number, row in enumerate(described, len(rows)):
            descriptors[number] = row.pop("descriptor", near_copies.NOTHING)
        rows += described
        progress(len(described))
    found = pd.DataFrame(rows, columns=["camera", *(name for name in COLUMNS if name not in listing.COLUMNS)])
    table = listed.reset_index(drop=True).join(found.drop(columns="camera")).astype(COLUMNS)
    table["camera"] = table["camera"].fillna(found["camera"].astype("string"))
    table = table[list(COLUMNS)]
    table["duplicate_of"] = _duplicates(table)
    table["shared_with"] = _shared(table)
    table["near_copies"], pairs = _near(table, descriptors, limit)
    return table, pairs


def _near(table: pd.DataFrame, descriptors: np.ndarray, limit: float | None) -> tuple[pd.Series[Any], list[Pair]]:
    """For each image that has near-copies, the first of them; and the pairs."""
    groups, pairs = near_copies.Groups(len(table)), []
    if limit is not None:
        first = table["duplicate_of"].isna().to_numpy(bool)
        numbers = np.flatnonzero(first & descriptors.any(axis=1))
        for found in near_copies.find(descriptors[numbers], limit):
            pair = replace(found, first=int(numbers[found.first]), second=int(numbers[found.second]))
            groups.join(pair.first, pair.second)
            pairs.append(pair)
    owners = [groups.of(number) for number in range(len(table))]
    joined = pd.Series(table["path"].to_numpy()[owners], index=table.index, dtype="string")
    alone = pd.Series(owners).map(pd.Series(owners).value_counts()).to_numpy() == 1
    return joined.mask(alone), sorted(pairs, key=lambda pair: (pair.correlation, pair.first, pair.second))


def _threads(containers: Containers, listed: pd.DataFrame) -> int:
    """How many threads are fastest, judged by the first image."""
    try:
        height, width = containers.read(listed["path"].iloc[0]).pixels.shape[:2]
    except (DataError, IndexError):
        return compute.threads()
    return parallel.threads_for(height * width)


def _describe(containers: Containers, group: Sequence[Any]) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = [{} for _ in group]
    # NOTE: small images are described as a stack: calls for each one would cost more than decoding it.
    small: dict[tuple[tuple[int, ...], np.dtype[Any]], list[tuple[int, Picture]]] = {}
    for i, row in enumerate(group):
        try:
            picture = containers.read(row.path)
            clean = picture.pixels
            if pd.isna(row.noisy) and clean.size <= SMALL:
                small.setdefault((clean.shape, clean.dtype), []).append((i, picture))
                continue
            described[i] = _statistics(clean) | _meaning(picture)
            described[i]["descriptor"] = near_copies.descriptor(clean)
            if not pd.isna(row.noisy):
                described[i] |= _compare(picture, containers.read(row.noisy))
        except DataError as error:
            # NOTE: without the folder, so that the same data gives the same manifest in every place.
            described[i] = {"error": str(error).replace(f"{containers.folder}/", "")}
    for images in small.values():
        stack = np.stack([picture.pixels for _, picture in images])
        for (i, picture), statistics in zip(images, _stack_statistics(stack), strict=True):
            described[i] = statistics | _meaning(picture)
            described[i]["descriptor"] = near_copies.descriptor(picture.pixels)
    return described


def _meaning(picture: Picture) -> dict[str, Any]:
    """What values stand for, how much of their range is used, and how a camera raw file was taken."""
    described: dict[str, Any] = {"light": picture.light}
    if picture.pixels.dtype == np.uint16:
        described["highest"] = float(picture.pixels.max()) / 257
    raw = picture.shooting
    if not raw:
        return described
    return described | {"camera": " ".join(filter(None, (raw["make"], raw["model"]))) or None, "iso": raw["iso"]}


def _statistics(pixels: np.ndarray) -> dict[str, Any]:
    """Describe one image, without copies of its size."""
    channels = pixels.shape[2]
    white = DEPTHS[pixels.dtype][1]
    means, stds = (values.ravel() for values in cv2.meanStdDev(pixels))
    mean = means.mean()
    flat = pixels.reshape(len(pixels), -1)
    extremes = flat.size - cv2.countNonZero(flat) + np.count_nonzero(flat == white)
    deviation = np.sqrt(np.sum(stds**2 + (means - mean) ** 2) / channels)
    return _row(pixels, float(mean), float(deviation), extremes / flat.size)


def _stack_statistics(stack: np.ndarray) -> list[dict[str, Any]]:
    """Describe images of one shape: (images, height, width, channels)."""
    flat = stack.reshape(len(stack), -1)
    white = DEPTHS[stack.dtype][1]
    means = flat.mean(axis=1, dtype=np.float64)
    squares = np.einsum("ij,ij->i", flat, flat, dtype=np.uint64, casting="unsafe") / flat.shape[1]
    deviations = np.sqrt(np.maximum(squares - means**2, 0))
    extremes = ((flat == 0) | (flat == white)).mean(axis=1)
    columns = zip(means.tolist(), deviations.tolist(), extremes.tolist(), strict=True)
    return [_row(pixels, *values) for pixels, values in zip(stack, columns, strict=True)]


def _row(pixels: np.ndarray, mean: float, deviation: float, saturated: float) -> dict[str, Any]:
    height, width, channels = pixels.shape
    dtype, white = DEPTHS[pixels.dtype]
    return {
        "width": width,
        "height": height,
        "channels": channels,
        "dtype": dtype,
        "mean": mean * 255 / white,
        "std": deviation * 255 / white,
        "saturated": saturated,
        "sha256": identity.digest(pixels),
    }


def _compare(one: Picture, other: Picture) -> dict[str, Any]:
    clean, noisy = one.pixels, other.pixels
    if one.light != other.light:
        raise DataError(f"of the pair the clean image is in {one.light} light, and the noisy one in {other.light}")
    described: dict[str, Any] = {"noisy_sha256": identity.digest(noisy), "same_size": clean.shape == noisy.shape}
    if not described["same_size"] or clean.dtype != noisy.dtype:
        return described | {"same_size": False}
    error = cv2.norm(clean, noisy, cv2.NORM_L2SQR) / clean.size
    white = DEPTHS[clean.dtype][1]
    return described | {
        "psnr": float(10 * np.log10(white**2 / error)) if error else float("inf"),
        "correlation": correlation(clean, noisy),
    }


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return the correlation of two images at low resolution, where noise has averaged out.

    Args:
        first: uint8 or uint16 (height, width, channels).
        second: The same shape and type.

    Returns:
        Pearson's coefficient of their luminance at 16x16 pixels; NaN when both are flat there, 0 when one is.
    """
    small = [
        cv2.resize(image, (LOW_SIDE, LOW_SIDE), interpolation=cv2.INTER_AREA)
        .reshape(LOW_SIDE * LOW_SIDE, -1)
        .mean(axis=1)
        for image in (first, second)
    ]
    flat = [bool(np.ptp(values) == 0) for values in small]
    if any(flat):
        return float("nan") if all(flat) else 0.0
    return float(np.corrcoef(*small)[0, 1])


def _duplicates(table: pd.DataFrame) -> pd.Series[Any]:
    """For each image with the pixels of another, the one that stays: the first, or of pairs the best fitting one.

    Of pairs the noisy images count: frames of one scene may share a clean one.
    """
    digest = table["noisy_sha256"].fillna(table["sha256"])
    best = table.sort_values("correlation", ascending=False, kind="stable", na_position="last")
    first = best.groupby(digest)["path"].transform("first").reindex(table.index)
    return first.where(digest.notna() & (first != table["path"]))


def _shared(table: pd.DataFrame) -> pd.Series[Any]:
    """For each pair whose clean image belongs to another instance, that instance: the one that fits it better."""
    result = pd.Series(pd.NA, index=table.index, dtype="string")
    pairs = table[table["noisy_sha256"].notna() & table["instance"].notna() & table["sha256"].notna()]
    several = pairs.groupby("sha256")["instance"].transform("nunique") > 1
    for _, group in pairs[several].groupby("sha256"):
        fit = group.groupby("instance")["correlation"].mean().fillna(-1.0)
        owner = str(fit.idxmax())
        result.loc[group.index[group["instance"] != owner]] = owner
    return result


def remove(folder: Path) -> None:
    """Remove the manifest: what an earlier validation allowed must not outlive one that fails."""
    (folder / MANIFEST).unlink(missing_ok=True)


def write(
    folder: Path,
    asked: Asked,
    code: Code,
    files_sha256: str,
    table: pd.DataFrame,
    published: int,
    quarantined: list[str],
    expectations: list[Expectation],
    pairs: Sequence[Pair] = (),
    pictures: Sequence[np.ndarray] = (),
) -> Validation:
    """Write the manifest and what came of its validation.

    Args:
        folder: For both files.
        asked: Of these images by the study.
        code: What made and judged the table.
        files_sha256: Digest of the files that they were read from.
        table: One row per image; gets the column `quarantined`.
        published: Images of the whole data set.
        quarantined: Paths of the images that are set aside.
        expectations: What came of each.
        pairs: Of near-copies, the least alike first.
        pictures: Of the first of them, side by side.
    """
    table["quarantined"] = table["path"].isin(quarantined)
    path = folder / MANIFEST
    with files.new_file(path) as partial:
        table.to_parquet(partial, index=False)
    with files.new_folder(folder / PAIRS) as into:
        for number, side_by_side in enumerate(pictures):
            writing.write(into / f"{number:02}.png", Picture(side_by_side))
    record = Validation(
        schema_version=Validation.VERSION,
        asked=asked,
        code=code,
        files_sha256=files_sha256,
        images=len(table),
        published=published,
        quarantined=quarantined,
        expectations=expectations,
        near_copies=[
            NearCopies(
                first=str(table["path"][pair.first]),
                second=str(table["path"][pair.second]),
                correlation=pair.correlation,
                mirrored=pair.mirrored,
            )
            for pair in pairs[:NAMED_PAIRS]
        ],
        pictures_sha256=files.tree_digest(folder / PAIRS),
        manifest_sha256=files.sha256(path),
    )
    record.write(folder / VALIDATION)
    return record


def read(folder: Path, params: Params) -> tuple[pd.DataFrame, Validation]:
    """Read the manifest that the validate stage wrote, and what came of its validation.

    Args:
        folder: With both files.
        params: The study.

    Raises:
        DataError: One is missing or damaged, they do not belong together, the study asks for other images, or the code
            that validates has changed since.
    """
    record = Validation.read(folder / VALIDATION)
    if other := record.asked.differences(params):
        raise DataError(
            f"{folder} was validated for another {' and '.join(other)} than the study asks for; {Validation.again()}"
        )
    if record.code.has_changed:
        raise DataError(f"{folder} was validated by other code than there is now; {Validation.again()}")
    path = folder / MANIFEST
    if not path.exists():
        raise DataError(f"{path} is missing; run: dvc repro validate")
    content = files.verified(path, record.manifest_sha256)
    if content is None:
        raise DataError(f"{path} is damaged or not the one that was validated; run: dvc repro -f -s validate")
    pictures(folder, record)
    return pd.read_parquet(content), record


def pictures(folder: Path, record: Validation) -> Snapshot:
    """Read the pictures of near-copies that the validate stage wrote.

    Args:
        folder: As of `read`.
        record: What came of the validation.

    Raises:
        DataError: They are missing, damaged, or of another validation.
    """
    found = Snapshot.take(folder / PAIRS, Validation.again("-f -s"), files.tree(folder / PAIRS))
    if found.sha256 != record.pictures_sha256:
        raise DataError(f"{folder / PAIRS} is damaged or of another run; {Validation.again('-f -s')}")
    return found
