"""From an image to its samples on each side: places, patches, and the noise that is fixed once and for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

import numpy as np

from degrain.errors import DataError
from degrain.ingest.formats.containers import Containers
from degrain.noise import adding
from degrain.params.prepare import PrepareParams
from degrain.patches import loading, stand_in
from degrain.patches.grid import grid
from degrain.patches.loading import Loaded
from degrain.pixels import to_levels
from degrain.randomness import generator

# A whole test image is cut to its middle where a side is longer.
WHOLE_SIDE = 1024


@dataclass(frozen=True)
class Task:
    """What is to be made of one image.

    Attributes:
        row: Of the manifest.
        copies: For each of its sides, the numbers of its noisy copies.
        whole: Its name if it is kept whole, too.
    """

    row: Any
    copies: dict[str, np.ndarray]
    whole: str | None


@dataclass(frozen=True)
class View:
    """An image at one size, and top and left of each patch in it, int64 (patches, 2)."""

    image: Loaded
    places: np.ndarray


@dataclass(frozen=True)
class Cut:
    """The samples of one image on one side.

    Attributes:
        split: The side.
        path, source: Of the image.
        clean: (patches, size, size, channels).
        noisy: The same shape, or None where noise is drawn while training.
        top, left: (samples,), in pixels of the image, or of the shrunk one that the patch is cut from.
        patch: (samples,): row of the arrays.
        place: (samples,): number of the patch in its image; with path and copy it is the address of its noise.
        copy: (samples,): which of the patch's noisy copies.
    """

    split: str
    path: str
    source: str
    clean: np.ndarray
    noisy: np.ndarray | None
    top: np.ndarray
    left: np.ndarray
    patch: np.ndarray
    place: np.ndarray
    copy: np.ndarray


@dataclass(frozen=True)
class Whole:
    """A whole test image, clean and noisy."""

    name: str
    clean: np.ndarray
    noisy: np.ndarray


def cut(containers: Containers, tasks: Sequence[Task], params: PrepareParams) -> tuple[list[Cut], list[Whole]]:
    """Read images and cut them.

    Args:
        containers: The downloaded data set.
        tasks: Which images, for which sides.
        params: Patch size, crops, shrinking and noise.

    Raises:
        DataError: An image has changed since it was validated.
    """
    cuts, wholes = [], []
    images = loading.load(containers, [task.row for task in tasks], params)
    for task, image in zip(tasks, images, strict=True):
        if image.noisy is not None and image.noisy.shape != image.clean.shape:
            raise DataError(f"{image.path} is {image.clean.shape}, its noisy partner {image.noisy.shape}")
        shown = _halved(image) if params.noise.stand_in and "train" not in task.copies else image
        views = [_shrunk(shown, times, params) for times in params.shrink]
        cuts += [_side(views, split, copies, params) for split, copies in task.copies.items()]
        if task.whole:
            wholes.append(_whole(task.whole, shown, params))
    return cuts, wholes


def _halved(image: Loaded) -> Loaded:
    """Make a pair of a noisy image that has no clean partner."""
    noisy, between = stand_in.halved(image.clean)
    return replace(image, clean=between, noisy=noisy)


def _shrunk(image: Loaded, times: int, params: PrepareParams) -> View:
    """Shrink an image by averaging squares; what is left at the border is dropped."""
    pixels = image.clean
    name = f"crops of {image.path}"
    if times > 1:
        height, width = (side // times for side in pixels.shape[:2])
        whole = pixels[: height * times, : width * times]
        pixels = loading.resized(whole, (width, height), "area") if height and width else whole[:0, :0]
        name += f" shrunk {times} times"
        image = replace(image, clean=pixels)
    return View(image, _places(pixels, name, params))


def _places(pixels: np.ndarray, name: str, params: PrepareParams) -> np.ndarray:
    """Top and left of each patch: int64 (patches, 2)."""
    height, width = pixels.shape[:2]
    size = params.patch_size
    if min(height, width) < size:
        return np.empty((0, 2), np.int64)
    if not params.crops:
        return np.array(list(grid((height, width), size, params.stride)), np.int64)
    draw = generator(params.seed, name)
    return draw.integers(0, (height - size + 1, width - size + 1), (params.crops, 2))


def _side(views: Sequence[View], split: str, copies: np.ndarray, params: PrepareParams) -> Cut:
    image, size = views[0].image, params.patch_size
    clean = np.concatenate([_stack(view.image.clean, view.places, size) for view in views])
    places = np.concatenate([view.places for view in views])
    numbers = np.arange(len(places))
    if split == "train" and params.min_std:
        kept = to_levels(clean).std(axis=(1, 2, 3)) >= params.min_std
        clean, numbers = clean[kept], numbers[kept]
    # NOTE: copies of a training patch share its row, and their noise is drawn when it is needed; a held-out sample has
    # a row and noisy pixels of its own.
    virtual = split == "train" and image.noisy is None
    row = np.repeat(np.arange(len(numbers)), len(copies))
    copy = np.tile(copies, len(numbers))
    noisy = None
    if image.noisy is not None:
        noisy = _stack(image.noisy, places[numbers], size)
    elif not virtual:
        clean = clean[row]
        noisy = _noisy(image, clean, numbers[row], copy, params)
    return Cut(
        split,
        image.path,
        image.source,
        clean,
        noisy,
        places[numbers[row], 0],
        places[numbers[row], 1],
        row if virtual or image.noisy is not None else np.arange(len(row)),
        numbers[row],
        copy,
    )


def _stack(pixels: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    stacked = np.empty((len(places), size, size, pixels.shape[2]), pixels.dtype)
    for patch, (top, left) in zip(stacked, places, strict=True):
        patch[:] = pixels[top : top + size, left : left + size]
    return stacked


def _noisy(
    image: Loaded, clean: np.ndarray, numbers: np.ndarray, copies: np.ndarray, params: PrepareParams
) -> np.ndarray:
    draws = adding.fixed(params.seed, repeat(image.path, len(clean)), numbers.tolist(), copies.tolist())
    return adding.add_each(params.noise, clean, draws)


def _whole(name: str, image: Loaded, params: PrepareParams) -> Whole:
    height, width = image.clean.shape[:2]
    top, left = max(0, height - WHOLE_SIDE) // 2, max(0, width - WHOLE_SIDE) // 2
    window = np.s_[top : top + WHOLE_SIDE, left : left + WHOLE_SIDE]
    clean = image.clean[window]
    if image.noisy is not None:
        return Whole(name, clean, image.noisy[window])
    return Whole(name, clean, adding.add(params.noise, clean, generator(params.seed, f"whole noise of {image.path}")))
