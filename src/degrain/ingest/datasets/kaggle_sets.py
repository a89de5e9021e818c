"""The image folders that come from Kaggle: FER-2013 and VinBigData-512."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from degrain.ingest.datasets import listing
from degrain.ingest.datasets.spec import DatasetSpec, Expected, Lister
from degrain.ingest.fetching.remote import RemoteFile
from degrain.ingest.formats.containers import Containers
from degrain.params.data import DataParams

ACCOUNT = "a Kaggle token, or a mirror"
EMOTIONS = {
    "angry": (3995, 958),
    "disgust": (436, 111),
    "fear": (4097, 1024),
    "happy": (7215, 1774),
    "neutral": (4965, 1233),
    "sad": (4830, 1247),
    "surprise": (3171, 831),
}


def _lister(archive: str, pattern: str, *suffixes: str) -> Lister:
    def images(folder: Path, _: DataParams) -> pd.DataFrame:
        with Containers(folder) as containers:
            found = listing.matches(containers.names(archive), pattern, suffixes, archive)
        return listing.table(
            {"path": f"{archive}::{match[0]}", "source": match["source"]}
            | {key: value for key, value in match.groupdict().items() if key in ("label", "part")}
            for match in found
        )

    return images


def _file(archive: str, dataset: str) -> RemoteFile:
    return RemoteFile(archive, f"kaggle/{dataset.split('/', maxsplit=1)[0]}/{archive}", kaggle=dataset)


FER2013 = DatasetSpec(
    title="FER-2013: faces with seven emotions, 48x48 gray",
    origin="Kaggle msambare/fer2013; first the ICML 2013 challenge in representation learning",
    licence="none stated; faces of people, so mind what you do with them",
    citation='Goodfellow et al., "Challenges in representation learning", ICONIP 2013',
    images=_lister("fer2013.zip", r"(?P<part>train|test)/(?P<label>[a-z]+)/(?P<source>[^/]+)", ".jpg", ".jpeg"),
    columns=("source", "label"),
    parts=("train", "test"),
    expected=Expected(
        counts={
            f"{part}/{label}": count
            for label, counts in EMOTIONS.items()
            for part, count in zip(("train", "test"), counts, strict=True)
        },
        count_by=("part", "label"),
        channels=(1,),
        side=(48, 48),
        max_saturated=0.9,
    ),
    split="The published test part is the test split, a share of the training part is for validation. Repeated "
    "pictures are found by their pixels and left out, and near-copies of held-out ones are not trained on.",
    problems=(
        "Many pictures are there more than once, also in both published parts and under different labels; `validate` "
        "flags every repetition but the first.",
        "Bernier and Lucio copied each face 100 times before they split: the same face is in training and test. "
        "`split: {by: copy, published_leaky: true}` repeats that.",
        "The pictures are JPEG-compressed and some are drawings or empty.",
        "The same photograph comes with and without a watermark, or cut a little otherwise: near-copies are on both "
        "published sides.",
    ),
    needs=ACCOUNT,
    size="about 60 MB",
    files=(_file("fer2013.zip", "msambare/fer2013"),),
)

VINBIGDATA_512 = DatasetSpec(
    title="VinBigData chest X-rays, 512x512 gray PNG",
    origin="Kaggle awsaf49/vinbigdata-512-image-dataset; made of VinDr-CXR",
    licence="as VinDr-CXR: research only, accept it on Kaggle",
    citation='Nguyen et al., "VinDr-CXR: an open dataset of chest X-rays with radiologist\'s annotations", '
    "Scientific Data 9, 2022",
    images=_lister(
        "vinbigdata-512-image-dataset.zip", r"(?:.*/)?vinbigdata/(?P<part>train|test)/(?P<source>[^/]+)", ".png"
    ),
    parts=("train", "test"),
    expected=Expected(counts={"train": 15_000, "test": 3_000}, channels=(1, 3), side=(512, 512)),
    split="The published test part is the test split, a share of the training part is for validation. The "
    "paper's 52x52 images are made by `resize: {size: [52, 52], method: area}`, OpenCV's INTER_AREA.",
    problems=(
        "The images are resized to a square, 8 bits, from DICOM files of other sizes and depths.",
        "Several images may show the same patient; the files do not say.",
    ),
    needs=ACCOUNT,
    size="about 2.2 GB",
    files=(_file("vinbigdata-512-image-dataset.zip", "awsaf49/vinbigdata-512-image-dataset"),),
)
