"""The gray Berkeley images on which denoisers have been compared since DnCNN."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from degrain.ingest.datasets import listing
from degrain.ingest.datasets.spec import DatasetSpec, Expected
from degrain.ingest.fetching.remote import RemoteFile
from degrain.ingest.formats.containers import Containers
from degrain.params.data import DataParams

PARTS = {
    "train": ("BSD400.zip", r"bsd400-gray180/(?P<name>[^/]+)"),
    "test": ("BSD68.zip", r"BSD68/(?P<name>[^/]+)"),
}


def _images(folder: Path, _: DataParams) -> pd.DataFrame:
    rows = []
    with Containers(folder) as containers:
        for part, (archive, pattern) in PARTS.items():
            found = listing.matches(containers.names(archive), pattern, (".png",), archive)
            rows += [
                {"path": f"{archive}::{match[0]}", "source": f"{part}/{match['name']}", "part": part} for match in found
            ]
    return listing.table(rows)


BSD = DatasetSpec(
    title="BSD400 and BSD68: gray natural images, to train and to test",
    origin="Berkeley segmentation data set, as prepared for DnCNN; only in a mirror of your own",
    licence="none stated",
    citation='Martin, Fowlkes, Tal, Malik, ICCV 2001; Zhang et al., "Beyond a Gaussian denoiser", TIP 2017',
    images=_images,
    parts=("train", "test"),
    expected=Expected(counts={"train": 400, "test": 68}, channels=(1,), side=(180, 481)),
    split="BSD68 is the test split; a share of BSD400 is for validation.",
    problems=("The training images were scaled to 180x180; the test images were not.",),
    needs="a mirror that holds it",
    size="15 MB",
    files=tuple(RemoteFile(archive, f"denoising/{archive}") for archive, _ in PARTS.values()),
)
