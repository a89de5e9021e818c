"""The color photographs that ship inside scikit-image's wheel: real images without account or network."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from degrain import files
from degrain.artifacts.source import RawFile
from degrain.errors import DataError
from degrain.ingest.datasets import listing
from degrain.ingest.datasets.spec import DatasetSpec, Expected
from degrain.params.data import DataParams


@dataclass(frozen=True)
class Photograph:
    """One file of the wheel, with its checksum and whose it is."""

    file: str
    source: str
    sha256: str
    licence: str
    credit: str


PHOTOGRAPHS = (
    Photograph(
        "astronaut.png",
        "astronaut",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        "public domain",
        "NASA, portrait of Eileen Collins",
    ),
    Photograph(
        "chelsea.png",
        "chelsea",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "CC0",
        "Stefan van der Walt, Chelsea the cat",
    ),
    Photograph(
        "coffee.png",
        "coffee",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        "CC0",
        "Rachel Michetti, Pikolo Espresso Bar",
    ),
    Photograph(
        "hubble_deep_field.jpg",
        "hubble",
        "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
        "public domain",
        "NASA, Hubble eXtreme Deep Field",
    ),
    Photograph(
        "ihc.png",
        "ihc",
        "f8dd1aa387ddd1f49d8ad13b50921b237df8e9b262606d258770687b0ef93cef",
        "no known copyright restrictions",
        "Immunohistochemical staining of colonic glands, Center for Microscopy and Molecular Imaging",
    ),
    # NOTE: left and right are two views of one scene, hence one source.
    Photograph(
        "motorcycle_left.png",
        "motorcycle",
        "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
        "CC0",
        "Middlebury stereo data set 2014, D. Scharstein et al.",
    ),
    Photograph(
        "motorcycle_right.png",
        "motorcycle",
        "5fc913ae870e42a4b662314bc904d1786bcad8e2f0b9b67dba5a229406357797",
        "CC0",
        "Middlebury stereo data set 2014, D. Scharstein et al.",
    ),
    Photograph(
        "retina.jpg",
        "retina",
        "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6",
        "CC0",
        "Haeggstroem, Fundus photograph of a normal left eye, doi:10.15347/wjm/2014.008",
    ),
    Photograph(
        "rocket.jpg",
        "rocket",
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        "CC0",
        "SpaceX, launch of DSCOVR on Falcon 9",
    ),
)


def _download(folder: Path, _: DataParams) -> list[RawFile]:
    """Copy the photographs out of the installed scikit-image.

    Raises:
        DataError: scikit-image lacks a photograph or has other bytes than the ones pinned here.
    """
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise DataError("scikit-image is not installed, and the photographs ship inside it; run make env")
    wheel = Path(found.origin).parent / "data"
    version = importlib.metadata.version("scikit-image")
    records = []
    for photograph in PHOTOGRAPHS:
        target = folder / photograph.file
        _copy(wheel / photograph.file, target, photograph.sha256, version)
        records.append(
            RawFile(
                file=photograph.file,
                bytes=target.stat().st_size,
                sha256=photograph.sha256,
                origin=f"scikit-image {version}, package data",
                credit=photograph.credit,
                licence=photograph.licence,
            )
        )
    return records


def _copy(source: Path, target: Path, sha256: str, version: str) -> None:
    if not source.is_file():
        raise DataError(f"scikit-image {version} does not hold {source.name}; install 0.26 (make env)")
    shutil.copyfile(source, target)
    if files.sha256(target) != sha256:
        raise DataError(f"{source.name} of scikit-image {version} is not the published image; reinstall scikit-image")


def _images(_: Path, __: DataParams) -> pd.DataFrame:
    return listing.table({"path": photograph.file, "source": photograph.source} for photograph in PHOTOGRAPHS)


PHOTOS = DatasetSpec(
    title="Nine color photographs that ship inside scikit-image",
    origin="scikit-image 0.26, package data",
    licence="CC0, public domain, or no known restrictions; source.json says which for each",
    citation='van der Walt et al., "scikit-image: image processing in Python", PeerJ 2:e453, 2014',
    images=_images,
    expected=Expected(channels=(3,), side=(300, 1500)),
    split="By photograph, named in the study. The two views of the motorcycle are one source.",
    problems=(
        "Nine photographs are enough to see that a pipeline works, not to say which denoiser is best.",
        "Three are JPEG files: their compression artifacts count as detail.",
    ),
    size="5 MB",
    download=_download,
    pinned={photograph.file: photograph.sha256 for photograph in PHOTOGRAPHS},
)
