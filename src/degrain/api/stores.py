"""Patch stores: made of images, and opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from degrain import console, files
from degrain.api import images as given_images
from degrain.api.checking import checked
from degrain.artifacts.store import STORE
from degrain.artifacts.validation import Asked
from degrain.errors import DataError, OutputError, ParamsError
from degrain.params.data import DataParams, ValidateParams
from degrain.params.prepare import PrepareParams
from degrain.patches.store import PatchStore
from degrain.stages import PREPARED

if TYPE_CHECKING:
    import pandas as pd

    Arrays = Sequence[np.ndarray]


def open_store(folder: str | Path = PREPARED) -> PatchStore:
    """Open a patch store; every byte of it is read once and held against its checksum.

    Args:
        folder: Where `prepare` left it; by default that of the project in the present folder.

    Returns:
        The store. `store.split("train")` has `clean`, uint8 or uint16 (patches, size, size, channels), memory-mapped,
        `noisy` (None where noise is drawn while training) and the table `index`.

    Raises:
        DataError: There is none, or it is damaged.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> import degrain
        >>> photos = [np.full((32, 64, 3), light) for light in (0.2, 0.5, 0.8)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = degrain.prepare(photos, f"{folder}/store", patch_size=32)
        ...     store = degrain.open_store(f"{folder}/store")
        >>> store.counts, store.channels, store.bits, store.noise.kind
        ({'train': 2, 'val': 2, 'test': 2}, 3, 8, 'gaussian')
    """
    return PatchStore.open(Path(folder))


def prepare(
    images: str | Path | Arrays,
    folder: str | Path,
    noise: str | Mapping[str, Any] = "gaussian",
    *,
    noisy: Arrays | None = None,
    patch_size: int = 64,
    val: float | list[str] = 0.15,
    test: float | list[str] = 0.15,
    **options: Any,
) -> PatchStore:
    """Cut images into patches, hold some images out, and write a patch store, ready to `train` on.

    Images are split before they are cut: no image is on two sides, and equal ones are refused. The held-out sides get
    noise that never changes.

    Args:
        images: Arrays (H, W) or (H, W, C): uint8, uint16, or float with black 0 and white 1; or a folder of image
            files, of which those in one subfolder are views of one scene and stay together. Clean ones, unless `noise`
            is "unknown"; with "real", a folder with the subfolders noisy and clean, and equal names in both.
        folder: Where the store goes. One that is there is replaced; another folder that is not empty is refused.
        noise: A kind of `list_noise`, or a mapping of `kind` and its options, such as
            `{"kind": "gaussian", "sigma": 25}`; "unknown" where the images are noisy and there are no clean ones.
        noisy: The noisy versions of `images`, arrays of the same shapes in the same order; then nothing is added.
        patch_size: Side of the square patches, in pixels.
        val: Share of the images for choosing models, at least one; or names of some: of a file without its suffix, of a
            subfolder, or "image-000" for the first array.
        test: The same for the final measurement.
        options: Any other of `prepare` in params.yaml: `seed`, `color`, `bits`, `stride`, `crops`, `min_std`, `copies`,
            `whole_images`, ...; docs/params.md explains them.

    Returns:
        The store, opened.

    Raises:
        DataError: An image cannot be used, a side is empty, or the images have different numbers of channels.
        OutputError: The folder holds something else, or cannot be written.
        ParamsError: An option is unknown (the message has the nearest name) or impossible.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> import degrain
        >>> draw = np.random.default_rng(0)
        >>> photos = [draw.integers(0, 256, (64, 64), np.uint8) for _ in range(4)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = degrain.prepare(photos, f"{folder}/store", patch_size=32, stride=32)
        ...     store.counts, store.split("train").clean.shape
        ({'train': 8, 'val': 4, 'test': 4}, (8, 32, 32, 1))
    """
    is_folder = isinstance(images, str | Path)
    if noisy is not None and (is_folder or noise != "gaussian"):
        raise ParamsError("noisy: goes with arrays of clean images, and without a kind of noise")
    kind: Mapping[str, Any] = {"kind": noise if noisy is None else "real"} if isinstance(noise, str) else noise
    split = {"val": val, "test": test, **options.pop("split", {})}
    raw = {"patch_size": patch_size, "stride": patch_size, **options, "split": split, "noise": kind}
    params: PrepareParams = checked(PrepareParams, raw, "prepare")
    if params.noise.paired and not is_folder and noisy is None:
        raise ParamsError("noise: real noise needs the noisy images, too: noisy=[...]")
    target = Path(folder)
    if target.exists() and not (target / STORE).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"{target} holds something else than a patch store; choose another folder")
    with _as_files(images, noisy) as raw_folder:
        _fill(target, raw_folder, params)
    return PatchStore.open(target)


def _fill(target: Path, raw: Path, params: PrepareParams) -> None:
    from degrain.ingest.datasets import manifest, own
    from degrain.ingest.formats.containers import Containers
    from degrain.patches import preparation

    data = DataParams(dataset="pairs" if params.noise.paired else "folder")
    listed = (own.PAIRS if params.noise.paired else own.FOLDER).images(raw, data)
    with Containers(raw, data.raw) as containers:
        with console.progress("read", len(listed)) as advance:
            table, _ = manifest.build(containers, listed, progress=advance)
        _require_usable(table)
        asked = Asked(data=data, validation=ValidateParams())
        with files.new_folder(target) as folder, console.progress("prepare", len(table)) as advance:
            digest = files.digest(table["sha256"].tolist())
            preparation.fill(folder, containers, table, params, asked, digest, advance)


def _require_usable(table: pd.DataFrame) -> None:
    """Refuse images that cannot be read, have no partner, or another size than theirs.

    Raises:
        DataError: There is one; the text names the first.
    """
    for row in table.astype("object").itertuples():
        if isinstance(row.error, str):
            raise DataError(row.error)
        if isinstance(row.unpaired, str):
            raise DataError(f"{row.path} has no partner: noisy and clean images need the same names")
        if row.same_size is False:
            raise DataError(f"{row.path} and its noisy version have different sizes")


@contextmanager
def _as_files(images: str | Path | Arrays, noisy: Arrays | None) -> Iterator[Path]:
    """Yield a folder with all images as files, pairs in the subfolders clean and noisy."""
    if isinstance(images, str | Path):
        if not files.is_folder(Path(images)):
            raise DataError(f"{images} is no folder")
        yield Path(images)
        return
    with TemporaryDirectory(prefix="degrain-") as temporary:
        folder = Path(temporary)
        if noisy is None:
            _write(folder, images)
        else:
            _write(folder / "clean", images)
            _write(folder / "noisy", noisy)
        yield folder


def _write(folder: Path, images: Arrays) -> None:
    """Write arrays as image files.

    Raises:
        DataError: One is no gray or color image, or there are none.
    """
    from degrain.ingest.formats import writing
    from degrain.ingest.formats.picture import Picture

    folder.mkdir(exist_ok=True)
    for number, image in enumerate(images):
        name = f"image-{number:03d}"
        one = given_images.of(image, name)
        if one.is_batch or one.channels == 4:
            raise DataError(f"{name} has the shape {tuple(image.shape)}: one gray or color image is needed")
        depth = np.dtype(np.uint8 if one.pixels.dtype == np.uint8 else np.uint16)
        writing.write(folder / f"{name}.png", Picture(one.integers(depth)[0]))
