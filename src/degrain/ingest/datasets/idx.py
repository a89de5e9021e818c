"""MNIST and Fashion-MNIST: four gzipped idx files each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from degrain.errors import DataError
from degrain.ingest.datasets import listing
from degrain.ingest.datasets.spec import DatasetSpec, Expected, Lister
from degrain.ingest.fetching.remote import RemoteFile
from degrain.ingest.formats.containers import Containers
from degrain.params.data import DataParams

PARTS = {"train": ("train", 60_000), "t10k": ("test", 10_000)}
DIGITS = tuple("0123456789")
CLOTHES = ("top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")


def _lister(names: tuple[str, ...]) -> Lister:
    def images(folder: Path, _: DataParams) -> pd.DataFrame:
        frames = []
        with Containers(folder) as containers:
            for prefix, (part, _count) in PARTS.items():
                stack = f"{prefix}-images-idx3-ubyte.gz"
                count, labels = containers.count(stack), containers.labels(f"{prefix}-labels-idx1-ubyte.gz")
                if len(labels) != count:
                    raise DataError(f"{stack} has {count} images, {prefix}-labels-idx1-ubyte.gz {len(labels)} labels")
                if labels.max(initial=0) >= len(names):
                    raise DataError(f"{prefix}-labels-idx1-ubyte.gz has label {labels.max()}, there are {len(names)}")
                number = np.arange(len(labels)).astype(str)
                frames.append(
                    pd.DataFrame(
                        {
                            "path": [f"{stack}::{i}" for i in number],
                            "source": [f"{part}/{i}" for i in number],
                            "label": np.array(names)[labels],
                            "part": part,
                        }
                    )
                )
        return listing.complete(pd.concat(frames, ignore_index=True))

    return images


def _files(mirror: str, urls: tuple[str, ...], known: dict[str, tuple[int, str]]) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(name, f"{mirror}/{name}", tuple(f"{url}/{name}" for url in urls), size, sha256)
        for name, (size, sha256) in known.items()
    )


# Both are mostly black; some digits have nothing but black and white.
_EXPECTED = Expected(counts=dict(PARTS.values()), channels=(1,), side=(28, 28), max_saturated=1.0)
# Digits and clothes look alike: above the common limit are 8,156 pairs of MNIST's 60,000 training images, and none
# above this one; of Fashion-MNIST's pairs between 0.9975 and 0.9994 all that were looked at show different articles.
_DIGITS_ALIKE, _CLOTHES_ALIKE = 0.997, 0.9995

MNIST = DatasetSpec(
    title="MNIST: handwritten digits, 28x28 gray",
    origin="Y. LeCun, C. Cortes, C. Burges; the four original idx files",
    licence="not stated",
    citation='LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", '
    "Proceedings of the IEEE 86(11), 1998",
    images=_lister(DIGITS),
    columns=("source", "label"),
    parts=("train", "test"),
    expected=replace(_EXPECTED, near_copies=_DIGITS_ALIKE),
    split="The published test part is the test split, a share of the training part is for validation. The writers of "
    "the two published parts are disjoint; within the training part the files do not name them.",
    problems=("The files do not say who wrote a digit, so validation holds out digits, not writers.",),
    size="12 MB",
    files=_files(
        "mnist",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
            "http://yann.lecun.com/exdb/mnist",
        ),
        {
            "train-images-idx3-ubyte.gz": (
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            "train-labels-idx1-ubyte.gz": (
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            "t10k-images-idx3-ubyte.gz": (
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            "t10k-labels-idx1-ubyte.gz": (
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        },
    ),
)

FASHION_MNIST = DatasetSpec(
    title="Fashion-MNIST: articles of clothing, 28x28 gray",
    origin="Zalando Research; the four original idx files",
    licence="MIT",
    citation='Xiao, Rasul, Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning '
    'algorithms", arXiv:1708.07747, 2017',
    images=_lister(CLOTHES),
    columns=("source", "label"),
    parts=("train", "test"),
    expected=replace(_EXPECTED, near_copies=_CLOTHES_ALIKE),
    split="The published test part is the test split, a share of the training part is for validation.",
    size="31 MB",
    files=_files(
        "fashion-mnist",
        (
            "https://fashion-mnist.s3.eu-central-1.amazonaws.com",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        ),
        {
            "train-images-idx3-ubyte.gz": (
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            "train-labels-idx1-ubyte.gz": (
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            "t10k-images-idx3-ubyte.gz": (
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            "t10k-labels-idx1-ubyte.gz": (
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        },
    ),
)
