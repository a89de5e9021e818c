"""The Smartphone Image Denoising Dataset: whole images in sRGB and raw, validation blocks, and crops of others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from degrain.errors import DataError
from degrain.ingest.datasets import listing
from degrain.ingest.datasets.spec import DatasetSpec, Expected, Lister
from degrain.ingest.fetching.remote import RemoteFile
from degrain.ingest.formats.containers import Containers
from degrain.ingest.formats.mat import PHONE_PATTERNS
from degrain.params.data import DataParams

YORK = "http://130.63.97.225/share"
PUBLISHER = "A. Abdelhamed, S. Lin, M. S. Brown; York University and Microsoft"
CITATION = 'Abdelhamed, Lin, Brown, "A high-quality denoising dataset for smartphone cameras", CVPR 2018'
# 0001_001_S6_00100_00060_3200_L: instance, scene, phone, ISO, shutter, color temperature, brightness.
INSTANCE = r"(?P<instance>\d{4}_(?P<scene>\d{3})_(?P<camera>GP|IP|S6|N6|G4)_\d{5}_\d{5}_\d{4}_[LNH])"
SCENES = "By scene: all instances of a scene, whatever the phone and setting, stay on one side. "
RESIDUAL = (
    "The clean images are means of many frames after alignment and correction, so they hold a little noise and some "
    "misalignment of their own; a PSNR above about 40 dB measures that, too.",
)
NO_SUM = "No checksum was ever published: the first download records it in data/checksums.json, later ones must match."


def _whole(archive: str, kind: str) -> Lister:
    suffix = ".png" if kind == "SRGB" else ".mat"

    def images(folder: Path, _: DataParams) -> pd.DataFrame:
        layout = rf"(?:.*/)?{INSTANCE}/(?:\d{{4}}_)?(?P<which>NOISY|GT)_{kind}_(?P<frame>\d{{3}})"
        metadata = r".*METADATA_RAW_[^/]*"
        with Containers(folder) as containers:
            found = listing.matches(containers.names(archive), layout, (suffix,), archive, beside=metadata)

        def described() -> Iterator[tuple[str, bool, Mapping[str, Any]]]:
            for match in found:
                columns = {key: match[key] for key in ("instance", "scene", "camera")}
                columns["source"] = f"{match['instance']}/{match['frame']}"
                pattern = f"::{PHONE_PATTERNS[match['camera']]}" if kind == "RAW" else ""
                yield f"{archive}::{match[0]}{pattern}", match["which"] == "NOISY", columns

        pairs = listing.pair(described())
        pairs["source"] = pairs["instance"]
        return pairs

    return images


def _archive(name: str) -> RemoteFile:
    return RemoteFile(name, f"sidd/{name}", (f"{YORK}/{name}",))


def _per_scene(frames: int) -> dict[str, int]:
    """Pairs of each scene among the 160 public instances."""
    return {scene: count * frames for scene, count in SCENE_INSTANCES.items()}


SCENE_INSTANCES = {
    "001": 28,
    "002": 15,
    "003": 15,
    "004": 15,
    "005": 19,
    "006": 19,
    "007": 20,
    "008": 20,
    "009": 6,
    "010": 3,
}

SIDD_SMALL = DatasetSpec(
    title="SIDD Small: 160 pairs of smartphone photographs, noisy and clean, sRGB",
    origin=f"{PUBLISHER}; SIDD_Small_sRGB_Only.zip, frame 010 of each public instance",
    licence="MIT",
    citation=CITATION,
    images=_whole("SIDD_Small_sRGB_Only.zip", "SRGB"),
    columns=("source", "scene", "camera", "instance"),
    expected=Expected(counts=_per_scene(1), count_by=("scene",), channels=(3,), side=(256, 6000), min_correlation=0.9),
    split=SCENES + "The study holds out scenes by name.",
    problems=(NO_SUM, *RESIDUAL, "Scene 010 has only three instances, all of one phone."),
    pairs=True,
    size="about 6 GB",
    files=(_archive("SIDD_Small_sRGB_Only.zip"),),
)

SIDD_MEDIUM = DatasetSpec(
    title="SIDD Medium: 320 pairs of smartphone photographs, noisy and clean, sRGB",
    origin=f"{PUBLISHER}; SIDD_Medium_Srgb.zip, frames 010 and 011 of each public instance",
    licence="MIT",
    citation=CITATION,
    images=_whole("SIDD_Medium_Srgb.zip", "SRGB"),
    columns=("source", "scene", "camera", "instance"),
    expected=Expected(counts=_per_scene(2), count_by=("scene",), channels=(3,), side=(256, 6000), min_correlation=0.9),
    split=SCENES + "Two frames of one instance are one source.",
    problems=(NO_SUM, *RESIDUAL),
    pairs=True,
    size="about 12 GB",
    files=(_archive("SIDD_Medium_Srgb.zip"),),
)

SIDD_SMALL_RAW = DatasetSpec(
    title="SIDD Small raw: 160 pairs of Bayer mosaics, noisy and clean, linear",
    origin=f"{PUBLISHER}; SIDD_Small_Raw_Only.zip, MATLAB v7.3 (HDF5) files",
    licence="MIT",
    citation=CITATION,
    images=_whole("SIDD_Small_Raw_Only.zip", "RAW"),
    columns=("source", "scene", "camera", "instance"),
    expected=Expected(
        counts=_per_scene(1),
        count_by=("scene",),
        channels=(4,),
        dtypes=("uint16",),
        side=(128, 6000),
        min_std=0.2,
        psnr=(10.0, 80.0),
        min_correlation=0.9,
    ),
    split=SCENES,
    problems=(
        NO_SUM,
        *RESIDUAL,
        "The black level is subtracted and values are clipped to [0, 1], so the noise of black areas is one-sided.",
        "The address is formed like that of the sRGB archive; the real archive was not seen by degrain's authors, only "
        "the layout of its files.",
    ),
    pairs=True,
    size="about 20 GB",
    files=(_archive("SIDD_Small_Raw_Only.zip"),),
    light="linear",
)


def _blocks(folder: Path, _: DataParams) -> pd.DataFrame:
    clean, noisy = "ValidationGtBlocksSrgb.mat", "ValidationNoisyBlocksSrgb.mat"
    with Containers(folder) as containers:
        shapes = [containers.count(name) for name in (clean, noisy)]
    if shapes[0] != shapes[1] or isinstance(shapes[0], int):
        raise DataError(f"{clean} and {noisy} hold {shapes[0]} and {shapes[1]} blocks; they must be as many")
    images, blocks = shapes[0]
    return listing.table(
        {
            "path": f"{clean}::{i}/{j}",
            "noisy": f"{noisy}::{i}/{j}",
            "source": f"image-{i:02}",
            "instance": f"image-{i:02}",
        }
        for i in range(images)
        for j in range(blocks)
    )


SIDD_VALIDATION = DatasetSpec(
    title="SIDD validation: 1,280 pairs of 256x256 blocks out of 40 images, sRGB",
    origin=f"{PUBLISHER}; ValidationNoisyBlocksSrgb.mat and ValidationGtBlocksSrgb.mat",
    licence="MIT",
    citation=CITATION,
    images=_blocks,
    columns=("source", "instance"),
    expected=Expected(
        counts={f"image-{i:02}": 32 for i in range(40)},
        count_by=("instance",),
        channels=(3,),
        side=(256, 256),
        min_std=0.0,
        max_saturated=1.0,
        psnr=(8.0, 100.0),
        min_correlation=-1.0,
    ),
    split="The 40 images are the units; all blocks of one image stay on one side.",
    problems=(
        NO_SUM,
        "The blocks are small and some are flat, so low-resolution correlation says nothing about them and is not "
        "asked for.",
        "The files do not name the scenes: the images come from instances that SIDD Small and Medium also have.",
    ),
    pairs=True,
    size="about 0.5 GB",
    files=tuple(
        RemoteFile(name, f"sidd/{name}", (f"{YORK}/SIDD_Blocks/{name}",))
        for name in ("ValidationGtBlocksSrgb.mat", "ValidationNoisyBlocksSrgb.mat")
    ),
)


def _native(folder: Path, _: DataParams) -> pd.DataFrame:
    archive = "sidd-native-crops.zip"
    with Containers(folder) as containers:
        pattern = r"native/(?P<which>gt|noisy)/(?P<source>\d+)"
        found = listing.matches(containers.names(archive), pattern, (".png",), archive)
    return listing.pair(
        (f"{archive}::{match[0]}", match["which"] == "noisy", {"source": match["source"]}) for match in found
    )


SIDD_NATIVE_CROPS = DatasetSpec(
    title="Eight pairs of SIDD crops at native pixels: real, spatially correlated noise",
    origin="crops of SIDD photographs that ship with a GPL-3.0 repository; only in a mirror of your own",
    licence="SIDD: MIT; the repository they come from: GPL-3.0",
    citation=CITATION,
    images=_native,
    expected=Expected(channels=(3,), side=(256, 1024), min_correlation=0.9),
    split="Each crop is a source.",
    problems=(
        "Eight pairs are enough for tests and not for conclusions.",
        "The scenes are among those of SIDD Small and Medium: never train on one and test on the other.",
    ),
    pairs=True,
    needs="a mirror that holds it",
    size="8 MB",
    files=(RemoteFile("sidd-native-crops.zip", "sidd/sidd-native-crops.zip"),),
)


def _scene001(folder: Path, _: DataParams) -> pd.DataFrame:
    """Sinha 2018 trained on frames 1 to 120 of each crop and tested on the rest; half of that is for validation."""
    archive = "sidd-scene001-crops.zip"
    pattern = (
        r"cs512/(?:gt|noisy)_set/(?P<camera>GP|IP|S6|N6|G4)_(?P<crop>\d\d)_(?P<which>GT|NOISY)_SRGB_"
        r"(?P<frame>\d{3})"
    )
    with Containers(folder) as containers:
        found = listing.matches(containers.names(archive), pattern, (".png",), archive)

    def described() -> Iterator[tuple[str, bool, Mapping[str, Any]]]:
        for match in found:
            frame = int(match["frame"])
            part = "train" if frame <= 120 else "val" if frame % 2 else "test"
            yield (
                f"{archive}::{match[0]}",
                match["which"] == "NOISY",
                {
                    "instance": match["camera"],
                    "camera": match["camera"],
                    "scene": f"crop {match['crop']}",
                    "source": f"{match['camera']}_{match['crop']}/{frame:03}",
                    "part": part,
                },
            )

    pairs = listing.pair(described())
    pairs["source"] = pairs["scene"]
    return pairs


SIDD_SCENE001_CROPS = DatasetSpec(
    title="Sinha 2018's crops of SIDD scene 001: 12 crops x 5 phones x 50 of 150 frames, 64x64 color",
    origin="R. Sinha, V. Sharma, IIT CS512, 2018; only in a mirror of your own",
    licence="none stated; SIDD: MIT",
    citation='Sinha, Sharma, "Autoencoders for noise reduction in images", IIT CS512, 2018; ' + CITATION,
    images=_scene001,
    columns=("source", "scene", "camera", "instance"),
    parts=("train", "val", "test"),
    expected=Expected(
        counts=dict.fromkeys(PHONE_PATTERNS, 600),
        count_by=("camera",),
        channels=(3,),
        side=(63, 64),
        min_correlation=0.9,
    ),
    split="By crop: the 12 crops show different parts of the one scene; a crop with all phones and frames is on one "
    "side. That is as honest as one scene allows; it does not measure other scenes. `published_leaky: true` with "
    "`published` splits by frame number as the paper did.",
    problems=(
        "Every G4 target is a copy of N6's, another picture: 20 % of the published training pairs are wrong. "
        "`validate` flags them by itself (low-resolution correlation, and a clean image shared by two phones).",
        "The paper splits by frame number: the same static scene is on all sides.",
        "Whole photographs were squeezed to 256x192 before cropping, so noise is weaker than in the photographs and "
        "has lost its spatial correlation; a row and a column in 64 are missing (crops are 64x64, 64x63, "
        "63x64 or 63x63).",
        "A third of the paper's frames: 1 to 40 and 121 to 130 of 150.",
    ),
    pairs=True,
    needs="a mirror that holds it",
    size="46 MB",
    files=(RemoteFile("sidd-scene001-crops.zip", "sidd/sidd-scene001-crops.zip"),),
)
