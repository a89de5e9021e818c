"""Filling the patch store: who is on which side, and everything written in the manifest's order."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

from degrain import files, parallel
from degrain.artifacts.code import Code
from degrain.artifacts.store import STORE, StoreRecord
from degrain.artifacts.validation import Asked
from degrain.errors import DataError
from degrain.ingest.formats.containers import Containers
from degrain.noise import adding
from degrain.noise.base import Noise
from degrain.noise.unknown import UnknownNoise
from degrain.params.prepare import PrepareParams
from degrain.patches import cutting, needs, splits, stand_in, store
from degrain.patches.cutting import Cut, Task, Whole
from degrain.pixels import Light

log = logging.getLogger(__name__)

# The correlation of noise is measured in so many training patches at most, evenly spaced.
MEASURED = 1024
# About so many pixels are worked on at once, so that tiny images do not cost a call each.
GROUP_PIXELS = 1 << 18
INDEX = ("top", "left", "patch", "place", "copy")


def fill(
    folder: Path,
    containers: Containers,
    manifest: pd.DataFrame,
    params: PrepareParams,
    asked: Asked,
    manifest_sha256: str,
    progress: Callable[[int], None] = lambda _: None,
) -> StoreRecord:
    """Write a store.

    Args:
        folder: An empty folder.
        containers: The downloaded data set.
        manifest: One row per image that may be used, see `degrain.ingest.datasets.manifest`.
        params: Patch size, crops, split and noise.
        asked: Of these images by the study.
        manifest_sha256: SHA-256 of the manifest's file.
        progress: Called with how many more images are done.

    Returns:
        What store.json says of it.

    Raises:
        DataError: A split has no patch, or the images lack the channels or partners that the study needs.
        ParamsError: The split names something that is not there, or disk or memory do not suffice.
    """
    channels, light = _channels(manifest, params), _light(manifest, params)
    _check_needs(folder, manifest, channels, params)
    tasks, sides, leaks = _plan(manifest, params)

    def work(group: Sequence[Task]) -> tuple[list[Cut], list[Whole], int]:
        return *cutting.cut(containers, group, params), len(group)

    without: list[str] = []
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(SplitWriter(folder / split, split, channels, params)) for split in splits.SPLITS
        }
        pixels = int((manifest["width"] * manifest["height"]).median())
        for cuts, wholes, images in parallel.ordered(work, _groups(tasks), parallel.threads_for(pixels)):
            without += [cut.path for cut in cuts if not len(cut.copy)]
            for split, writer in writers.items():
                writer.add([cut for cut in cuts if cut.split == split])
            for whole in wholes:
                _keep_whole(folder / "photographs" / whole.name, whole)
            progress(images)
    counts = {split: writer.samples for split, writer in writers.items()}
    _refuse_empty(counts, params)
    if isinstance(params.noise, UnknownNoise):
        _check_correlation(np.load(folder / "train" / "clean.npy", mmap_mode="r"), params.noise)
    if without:
        log.warning(
            "%d images have no patch, being smaller than %d pixels%s or flatter than prepare.min_std: %s%s",
            len(without),
            params.patch_size,
            _when_halved(params),
            ", ".join(without[:3]),
            ", ..." if len(without) > 3 else "",
        )
    whole_names = {str(task.row.path): task.whole for task in tasks if task.whole}
    plan = pd.DataFrame(
        {
            "path": manifest["path"],
            "source": manifest["source"],
            "unit": splits.units(manifest, params.split),
            "side": sides,
            "photograph": manifest["path"].map(whole_names).astype("string"),
        }
    )
    plan.to_parquet(folder / store.IMAGES, index=False)
    record = StoreRecord(
        schema_version=StoreRecord.VERSION,
        params=params,
        asked=asked,
        code=code(params.noise),
        manifest_sha256=manifest_sha256,
        channels=channels,
        light=light,
        counts=counts,
        leaks=leaks,
        sha256=store.digest(store.content_digest(folder), params),
    )
    record.write(folder / STORE)
    return record


def code(noise: Noise) -> Code:
    """Describe the code that fills a store, and adds this noise."""
    return Code.of(__name__, *sorted(noise.modules))


def _check_needs(folder: Path, manifest: pd.DataFrame, channels: int, params: PrepareParams) -> None:
    sizes = manifest.groupby(["width", "height"]).size()
    counts = {size: needs.patches_of(int(size[0]), int(size[1]), params) for size in sizes.index}
    patches = sum(counts[size] * int(images) for size, images in sizes.items())
    needs.estimate(patches, max(counts.values()), channels, params).check(folder)


def _channels(manifest: pd.DataFrame, params: PrepareParams) -> int:
    if params.noise.paired and manifest["noisy"].isna().any():
        raise DataError("prepare.noise.kind is real, but this data set has no noisy partners: choose a synthetic kind")
    found = {{"keep": int(channels), "gray": 1, "rgb": 3}[params.color] for channels in set(manifest["channels"])}
    if len(found) != 1:
        raise DataError(
            f"all images of a study must have the same number of channels, not {sorted(found)}; "
            "set prepare.color to gray or rgb"
        )
    channels = found.pop()
    if not params.noise.accepts(channels):
        raise DataError(f"{params.noise.kind} noise cannot be added to images of {channels} channels")
    return channels


def _light(manifest: pd.DataFrame, params: PrepareParams) -> Light:
    found = sorted(set(manifest["light"]))
    if found not in (["linear"], ["srgb"]):
        raise DataError(
            f"all images of a study must be in the same light, not {' and '.join(found)}; run: dvc repro validate"
        )
    if found == ["linear"] and params.noise.on_srgb:
        raise DataError(
            f"prepare.noise: {params.noise.kind} takes the images for sRGB, and they are in linear light; "
            "set prepare.noise.linear: false"
        )
    return "linear" if found == ["linear"] else "srgb"


def _plan(manifest: pd.DataFrame, params: PrepareParams) -> tuple[list[Task], np.ndarray, dict[str, int]]:
    """Say for each image on which side it is, with which copies; the side of each row, and what leaks."""
    columns = ["path", "source", "sha256", "noisy", "noisy_sha256", "width", "height"]
    rows = list(manifest[columns].astype("object").itertuples(index=False))
    if params.split.by == "copy":
        of = splits.assign_copies(len(rows), params.copies, params.split, params.seed)
        copies = [{side: np.flatnonzero(mine == side) for side in splits.SPLITS if side in mine} for mine in of]
        leaking = sum(len(sides) > 1 for sides in copies)
        tasks = [Task(row, mine, None) for row, mine in zip(rows, copies, strict=True)]
        return tasks, np.full(len(rows), "all"), {"source": leaking}
    assigned = splits.assign(manifest, params.split, params.seed)
    wholes = _wholes(manifest, assigned.of, params)
    numbers = {"train": np.arange(max(1, params.copies)), "val": np.arange(1), "test": np.arange(1)}
    tasks = [
        Task(row, {side: numbers[side]}, wholes.get(str(row.path)))
        for row, side in zip(rows, assigned.of, strict=True)
        if side != splits.DROPPED
    ]
    return tasks, assigned.of, assigned.leaks


def _wholes(manifest: pd.DataFrame, sides: np.ndarray, params: PrepareParams) -> dict[str, str]:
    """Choose test images that are kept whole, evenly over the manifest: path to name.

    An image is named after its source, and `-view2` is put behind the name of the second image of one source.
    """
    width, height = params.resize.size if params.resize else (manifest["width"], manifest["height"])
    if params.noise.stand_in:
        width, height = width // 2, height // 2
    larger = (np.maximum(width, height) > params.patch_size) & (np.minimum(width, height) >= params.patch_size)
    candidates = manifest[(sides == "test") & larger]
    chosen = np.linspace(0, len(candidates) - 1, min(params.whole_images, len(candidates))).astype(int)
    names: dict[str, str] = {}
    views: Counter[str] = Counter()
    for path, source in candidates.iloc[chosen][["path", "source"]].astype(str).itertuples(index=False):
        views[source] += 1
        view = f"-view{views[source]}" if views[source] > 1 else ""
        name = files.portable_name(source, "image") + view
        names[path] = files.told_apart(name, names.values(), source + view)
    return names


def _groups(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    group: list[Task] = []
    pixels = 0
    for task in tasks:
        group.append(task)
        pixels += int(task.row.width * task.row.height)
        if pixels >= GROUP_PIXELS:
            yield group
            group, pixels = [], 0
    if group:
        yield group


class SplitWriter:
    """Writes one side of a store.

    Args:
        folder: Where it goes; is made.
        split: Which side.
        channels: Of the patches.
        params: Patch size, bits and noise.
    """

    def __init__(self, folder: Path, split: str, channels: int, params: PrepareParams) -> None:
        folder.mkdir()
        shape = (params.patch_size, params.patch_size, channels)
        dtype = np.dtype(np.uint8 if params.bits == 8 else np.uint16)
        self._folder = folder
        self._arrays = {"clean": store.PatchWriter(folder / "clean.npy", shape, dtype)}
        if split != "train" or params.noise.paired:
            noisy = adding.noisy_dtype(params.noise, dtype)
            self._arrays["noisy"] = store.PatchWriter(folder / "noisy.npy", shape, noisy)
        self._images: list[tuple[str, str]] = []
        self._index: list[np.ndarray] = []
        self.samples = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for array in self._arrays.values():
                stack.enter_context(array)
            self._open = stack.pop_all()
        return self

    def add(self, cuts: Sequence[Cut]) -> None:
        """Append the samples of some images."""
        if not cuts:
            return
        first_rows = self._arrays["clean"].rows + np.cumsum([0, *(len(cut.clean) for cut in cuts[:-1])])
        for name, array in self._arrays.items():
            array.extend(np.concatenate([getattr(cut, name) for cut in cuts]))
        samples = [len(cut.copy) for cut in cuts]
        columns = {name: np.concatenate([getattr(cut, name) for cut in cuts]) for name in INDEX}
        columns["patch"] = columns["patch"] + np.repeat(first_rows, samples)
        numbers = np.repeat(np.arange(len(self._images), len(self._images) + len(cuts)), samples)
        self._index.append(np.stack([numbers, *columns.values()], axis=1).astype(np.int32))
        self._images += [(cut.path, cut.source) for cut in cuts]
        self.samples += len(numbers)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)
        if kind is None:
            self._write_index()

    def _write_index(self) -> None:
        columns: Any = np.concatenate(self._index) if self._index else np.empty((0, 6), np.int32)
        image = columns[:, 0]
        paths, sources = ([pair[i] for pair in self._images] for i in (0, 1))
        names, of_image = np.unique(np.array(sources, dtype=object), return_inverse=True)
        frame = pd.DataFrame(
            {
                "image": pd.Categorical.from_codes(image, pd.Index(paths, dtype="object")),
                "source": pd.Categorical.from_codes(of_image.reshape(-1)[image], pd.Index(names, dtype="object")),
            }
            | {name: columns[:, i + 1] for i, name in enumerate(INDEX)}
        )
        frame.to_parquet(self._folder / "index.parquet", index=False)


def _keep_whole(folder: Path, whole: Whole) -> None:
    folder.mkdir(parents=True)
    np.save(folder / "clean.npy", whole.clean)
    np.save(folder / "noisy.npy", whole.noisy)


def _refuse_empty(counts: dict[str, int], params: PrepareParams) -> None:
    for split, count in counts.items():
        if not count:
            raise DataError(
                f"the {split} split has no patch of {params.patch_size} pixels: its images are smaller"
                f"{_when_halved(params)}, or prepare.min_std is too high"
            )


def _when_halved(params: PrepareParams) -> str:
    """Say which images must be larger than they look."""
    return " (held-out ones when they are halved)" if params.noise.stand_in else ""


def _check_correlation(patches: np.ndarray, noise: UnknownNoise) -> None:
    """Refuse noise that neighboring pixels share: one says something of the noise of the other."""
    few = np.linspace(0, len(patches) - 1, min(len(patches), MEASURED)).astype(int)
    found = stand_in.correlation(patches[few])
    if found is None:
        raise DataError(
            f"prepare.noise: {noise.kind} needs noisy images, and the flattest parts of these have no noise, or all "
            "is black or white"
        )
    log.info("noise: correlation %+.2f of pixels %d apart", found.value, found.distance)
    if abs(found.value) > noise.max_correlation:
        raise DataError(
            f"prepare.noise: the noise of pixels {found.distance} apart has a correlation of {found.value:+.2f}, more "
            f"than max_correlation, {noise.max_correlation:g}: a network would learn to keep it; take images as the "
            "sensor gives them (raw files with data.raw: bayer; no JPEG, sharpening or resizing), or files that are "
            "halved by averaging 2x2 pixels"
        )
