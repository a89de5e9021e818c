"""The Berkeley images on which denoisers have been compared since DnCNN, in gray and in color."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from degrain.ingest.datasets import listing
from degrain.ingest.datasets.spec import DatasetSpec, Expected, Lister
from degrain.ingest.fetching.remote import RemoteFile
from degrain.ingest.formats.containers import Containers
from degrain.params.data import DataParams

# Of each part the archive, and what the names of its images match.
Parts = Mapping[str, tuple[str, str]]

GRAY: Parts = {
    "train": ("BSD400.zip", r"bsd400-gray180/(?P<name>[^/]+)"),
    "test": ("BSD68.zip", r"BSD68/(?P<name>[^/]+)"),
}
COLOR: Parts = {
    "train": ("CBSD400.zip", r"CBSD400/(?:train|test)/(?P<name>[^/]+)"),
    "test": ("CBSD68.zip", r"CBSD68/(?P<name>[^/]+)"),
}
CITATION = 'Martin, Fowlkes, Tal, Malik, ICCV 2001; Zhang et al., "Beyond a Gaussian denoiser", TIP 2017'
MIRROR_ONLY = "a mirror that holds it"


def _lister(parts: Parts, *suffixes: str) -> Lister:
    def images(folder: Path, _: DataParams) -> pd.DataFrame:
        rows = []
        with Containers(folder) as containers:
            for part, (archive, pattern) in parts.items():
                found = listing.matches(containers.names(archive), pattern, suffixes, archive)
                rows += [
                    {"path": f"{archive}::{match[0]}", "source": f"{part}/{match['name']}", "part": part}
                    for match in found
                ]
        return listing.table(rows)

    return images


def _files(parts: Parts) -> tuple[RemoteFile, ...]:
    return tuple(RemoteFile(archive, f"denoising/{archive}") for archive, _ in parts.values())


BSD = DatasetSpec(
    title="BSD400 and BSD68: gray natural images, to train and to test",
    origin="Berkeley segmentation data set, as prepared for DnCNN; only in a mirror of your own",
    licence="none stated",
    citation=CITATION,
    images=_lister(GRAY, ".png"),
    parts=("train", "test"),
    expected=Expected(counts={"train": 400, "test": 68}, channels=(1,), side=(180, 481)),
    split="BSD68 is the test split; a share of BSD400 is for validation.",
    problems=("The training images were scaled to 180x180; the test images were not.",),
    needs=MIRROR_ONLY,
    size="15 MB",
    files=_files(GRAY),
)

CBSD = DatasetSpec(
    title="CBSD400 and CBSD68: color natural images, to train and to test",
    origin="Berkeley segmentation data set BSDS500: its training and test images, and the 68 validation images that "
    "BSD68 is made of; only in a mirror of your own",
    licence="non-commercial research and education",
    citation=CITATION,
    images=_lister(COLOR, ".jpg"),
    parts=("train", "test"),
    expected=Expected(counts={"train": 400, "test": 68}, channels=(3,), side=(321, 481)),
    split="CBSD68 is the test split; a share of CBSD400 is for validation.",
    problems=(
        "All images are JPEG files: their compression artifacts count as detail.",
        "Their licence is for non-commercial research and education: ship no model that was trained on them.",
    ),
    needs=MIRROR_ONLY,
    size="35 MB",
    files=_files(COLOR),
)
