"""A folder of one's own: images, or pairs of noisy and clean ones."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from degrain import files
from degrain.artifacts.source import RawFile
from degrain.declaration import composed
from degrain.errors import DataError, ParamsError
from degrain.ingest.datasets import listing
from degrain.ingest.datasets.spec import DatasetSpec, Expected
from degrain.ingest.fetching import disk
from degrain.ingest.formats import archives, folders
from degrain.machine import variables
from degrain.params.data import DataParams

log = logging.getLogger(__name__)


def _download(folder: Path, params: DataParams) -> list[RawFile]:
    """Copy the images, so that DVC holds exactly what a study was made of."""
    if not params.path:
        raise ParamsError("data.path is empty: name the folder of your images, such as -S data.path=$HOME/photos")
    origin = variables.in_project(params.path)
    if not files.is_folder(origin):
        raise DataError(f"data.path: {origin} is no folder")
    there = folders.find(origin, recursive=True)
    if there.problems:
        raise DataError(f"data.path: {there.problems[0]}; remove it, or put what is meant in its place")
    if there.left_out:
        log.warning("%s: left out: %s", origin, there.told())
    found = there.images
    if not found:
        raise DataError(f"data.path: {origin} holds no image ({', '.join(folders.SUFFIXES)})")
    for path in found:
        _refuse_name(path.relative_to(origin).as_posix(), origin)
    disk.require(sum(path.stat().st_size for path in found), folder, f"the folder {origin}")
    records = []
    for path in found:
        name = path.relative_to(origin)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (folder / name).exists():
            raise DataError(f"data.path: this file system takes {name} in {origin} for another image; rename one")
        _copy(path, folder / name)
        records.append(
            RawFile(
                file=name.as_posix(),
                bytes=(folder / name).stat().st_size,
                sha256=files.sha256(folder / name),
                origin="data.path",
            )
        )
    return records


def _copy(source: Path, target: Path) -> None:
    try:
        source.open("rb").close()
    except OSError as error:
        raise DataError(f"data.path: cannot read {source}: {error.strerror}") from error
    shutil.copyfile(source, target)


def _refuse_name(name: str, origin: Path) -> None:
    """Refuse what could not be told from a locator, or not be written down."""
    reason = archives.fault(name) or ("holds '::'" if "::" in name else None)
    try:
        name.encode()
    except UnicodeEncodeError:
        reason, name = "is not UTF-8", name.encode(errors="backslashreplace").decode()
    if reason:
        raise DataError(f"data.path: the name {name!r} in {origin} {reason}; rename it")


def _names(folder: Path) -> list[Path]:
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in folders.SUFFIXES)
    return sorted(name for name in names if not any(map(folders.is_companion, name.parts)))


def _images(folder: Path, _: DataParams) -> pd.DataFrame:
    """Images in one subfolder are views of one scene; an image beside them is a scene of its own."""
    return listing.table(
        {"path": name.as_posix(), "source": composed(name.parts[0] if len(name.parts) > 1 else name.stem)}
        for name in _names(folder)
    )


def _pairs(folder: Path, _: DataParams) -> pd.DataFrame:
    def described() -> Iterator[tuple[str, bool, Mapping[str, Any]]]:
        for name in _names(folder):
            side, *rest = name.parts
            if side not in ("noisy", "clean") or not rest:
                raise DataError(f"data.path: {name} is neither below noisy/ nor below clean/")
            key = Path(*rest).with_suffix("")
            yield name.as_posix(), side == "noisy", {"source": composed(key.as_posix())}

    pairs = listing.pair(described())
    # A subfolder is one shooting: its frames stay on one side, and several may share one clean picture.
    pairs["source"] = pairs["instance"] = pairs["source"].str.partition("/")[0]
    return pairs


FOLDER = DatasetSpec(
    title="Your own images: a folder of PNG, JPEG, TIFF or camera raw files",
    origin="data.path",
    licence="yours",
    citation="",
    images=_images,
    expected=Expected(channels=(1, 3, 4), dtypes=("uint8", "uint16"), max_saturated=0.9),
    split="By source: the images of one subfolder stay together, every other image is a source of its own.",
    problems=(
        "DVC does not watch the folder: after changing it, `dvc repro -f -s download`.",
        "Noise that is already in your images counts as detail: a model learns to keep it. The noise `unknown` is for "
        "images of which no clean ones exist.",
    ),
    needs="data.path",
    light=None,
    download=_download,
)

PAIRS = DatasetSpec(
    title="Your own pairs: noisy/ and clean/ with the same names",
    origin="data.path",
    licence="yours",
    citation="",
    images=_pairs,
    columns=("source", "instance"),
    expected=Expected(channels=(1, 3, 4), dtypes=("uint8", "uint16"), max_saturated=0.9),
    split="By source: noisy/a/1.png and noisy/a/2.png are of source a; an image outside a subfolder is its own source.",
    problems=("DVC does not watch the folder: after changing it, `dvc repro -f -s download`.",),
    pairs=True,
    needs="data.path",
    light=None,
    download=_download,
)
