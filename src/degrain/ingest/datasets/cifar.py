"""CIFAR-10: the binary archive, and a part of it as JPEG files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from degrain.ingest.datasets import listing
from degrain.ingest.datasets.spec import DatasetSpec, Expected
from degrain.ingest.fetching.remote import RemoteFile
from degrain.ingest.formats import folders
from degrain.ingest.formats.containers import Containers
from degrain.params.data import DataParams

ARCHIVE = "cifar-10-binary.tar.gz"
BATCHES = {**{f"data_batch_{i}.bin": "train" for i in range(1, 6)}, "test_batch.bin": "test"}
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
JPEGS = "cifar10-images.zip"
CITATION = 'Krizhevsky, "Learning multiple layers of features from tiny images", technical report, Toronto, 2009'
SPLIT = "The published test part is the test split, a share of the training part is for validation."
PROBLEMS = (
    '3.3 % of the test images have near-duplicates in training (Barz and Denzler, "Do we train on test data?", '
    "J. Imaging 2020); exact duplicates are found here, near ones are not.",
)


def _binary(folder: Path, _: DataParams) -> pd.DataFrame:
    frames = []
    with Containers(folder) as containers:
        batches = {f"cifar-10-batches-bin/{batch}" for batch in BATCHES}
        folders.warn_of_others(ARCHIVE, set(containers.names(ARCHIVE)) - batches, "batches")
        for batch, part in BATCHES.items():
            member = f"{ARCHIVE}::cifar-10-batches-bin/{batch}"
            labels = containers.labels(member)
            frames.append(
                pd.DataFrame(
                    {
                        "path": [f"{member}/{i}" for i in range(len(labels))],
                        "source": [f"{batch.removesuffix('.bin')}/{i}" for i in range(len(labels))],
                        "label": [CLASSES[label] for label in labels],
                        "part": part,
                    }
                )
            )
    return listing.complete(pd.concat(frames, ignore_index=True))


def _jpegs(folder: Path, _: DataParams) -> pd.DataFrame:
    with Containers(folder) as containers:
        found = listing.matches(
            containers.names(JPEGS),
            r"cifar10-images/(?P<part>train|test)/(?P<label>[a-z]+)/(?P<name>[^/]+)",
            (".jpg", ".jpeg"),
            JPEGS,
        )
    return listing.table(
        {
            "path": f"{JPEGS}::{match[0]}",
            "source": f"{match['part']}/{match['label']}/{match['name']}",
            "label": match["label"],
            "part": match["part"],
        }
        for match in found
    )


CIFAR10 = DatasetSpec(
    title="CIFAR-10: objects, 32x32 color",
    origin="A. Krizhevsky, V. Nair, G. Hinton; binary version",
    licence="not stated",
    citation=CITATION,
    images=_binary,
    columns=("source", "label"),
    parts=("train", "test"),
    expected=Expected(counts={"train": 50_000, "test": 10_000}, channels=(3,), side=(32, 32), max_saturated=0.9),
    split=SPLIT,
    problems=PROBLEMS,
    size="170 MB",
    files=(
        RemoteFile(
            ARCHIVE,
            f"cifar10/{ARCHIVE}",
            (f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}",),
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    ),
)

CIFAR10_IMAGES = DatasetSpec(
    title="A part of CIFAR-10 as JPEG files: 4,000 of its images, compressed again",
    origin="re-encoded from CIFAR-10; nowhere published, only in a mirror of your own",
    licence="not stated",
    citation=CITATION,
    images=_jpegs,
    columns=("source", "label"),
    parts=("train", "test"),
    expected=Expected(channels=(3,), side=(32, 32), max_saturated=0.9),
    split=SPLIT,
    problems=("JPEG has removed noise and added blocks: never quote its scores as CIFAR-10's.", *PROBLEMS),
    needs="a mirror that holds it",
    size="4 MB",
    files=(RemoteFile(JPEGS, JPEGS),),
)
