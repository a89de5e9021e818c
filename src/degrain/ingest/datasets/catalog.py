"""Every data set by name."""

from __future__ import annotations

from degrain.errors import ParamsError, nearest
from degrain.ingest.datasets import bsd, cifar, free_photographs, idx, kaggle_sets, own, photos, sidd
from degrain.ingest.datasets.spec import DatasetSpec

DATASETS: dict[str, DatasetSpec] = {
    "photos": photos.PHOTOS,
    "free-photographs": free_photographs.FREE_PHOTOGRAPHS,
    "mnist": idx.MNIST,
    "fashion-mnist": idx.FASHION_MNIST,
    "cifar10": cifar.CIFAR10,
    "cifar10-images": cifar.CIFAR10_IMAGES,
    "fer2013": kaggle_sets.FER2013,
    "vinbigdata-512": kaggle_sets.VINBIGDATA_512,
    "sidd-small": sidd.SIDD_SMALL,
    "sidd-medium": sidd.SIDD_MEDIUM,
    "sidd-small-raw": sidd.SIDD_SMALL_RAW,
    "sidd-validation": sidd.SIDD_VALIDATION,
    "sidd-scene001-crops": sidd.SIDD_SCENE001_CROPS,
    "sidd-native-crops": sidd.SIDD_NATIVE_CROPS,
    "bsd": bsd.BSD,
    "cbsd": bsd.CBSD,
    "folder": own.FOLDER,
    "pairs": own.PAIRS,
}


def spec(name: str) -> DatasetSpec:
    """Look a data set up.

    Raises:
        ParamsError: There is none of that name; the message has the nearest.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise ParamsError(f"data.dataset: unknown data set {name!r}{nearest(name, DATASETS)}") from None
