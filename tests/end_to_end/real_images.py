"""Real images of the mirror as what it does not hold: other data sets' archives, folders of one's own."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conftest import MIRROR, save
from tests.ingest.formats import fixtures

# Black and white of the camera that took the mirror's mosaic.
BLACK, WHITE = 616, 16383
# Invented instances of the phone whose mosaics begin with red, as that camera's do; scenes as the study names them.
INSTANCES = [
    f"{i:04}_{scene}_IP_00100_00100_3200_N" for i, scene in enumerate(("001", "002", "003", "006", "009", "010"))
]


def native_crops() -> list[tuple[np.ndarray, np.ndarray]]:
    """Real pairs, clean and noisy: uint8 (height, width, 3), at least 256 pixels high and wide."""
    with zipfile.ZipFile(MIRROR / "sidd" / "sidd-native-crops.zip") as archive:
        return [
            tuple(
                np.asarray(Image.open(io.BytesIO(archive.read(f"native/{side}/{i:02}.png"))))
                for side in ("gt", "noisy")
            )
            for i in range(8)
        ]


def mosaics() -> list[np.ndarray]:
    """Six parts of a camera's mosaic: uint16 (256, 256), red first."""
    whole = np.fromfile(MIRROR / "raw" / "DSC_1339_768x512_rggb.raw", "<u2").reshape(512, 768)
    return [whole[top : top + 256, left : left + 256] for top in (0, 256) for left in (0, 256, 512)]


def sidd_validation(mirror: Path) -> None:
    """Eight real pairs of blocks, one of each image, as the publisher's two files."""
    for kind, blocks in zip(("Gt", "Noisy"), zip(*native_crops(), strict=True), strict=True):
        name = f"Validation{kind}BlocksSrgb"
        stacked = np.stack([block[None, :256, :256] for block in blocks])
        fixtures.write(mirror / "sidd" / f"{name}.mat", fixtures.mat_v5(**{name: stacked}))


def sidd_small_raw(mirror: Path) -> None:
    """Mosaics of a camera as clean images, with noise that is not a phone's."""
    members = {}
    for seed, (name, mosaic) in enumerate(zip(INSTANCES, mosaics(), strict=True)):
        clean = (mosaic.astype(np.float32) - BLACK) / (WHITE - BLACK)
        noisy = np.clip(clean + 0.01 * np.random.default_rng(seed).standard_normal(clean.shape, np.float32), 0, 1)
        for kind, values in (("GT", clean), ("NOISY", noisy)):
            members[f"SIDD_Small_Raw_Only/Data/{name}/{kind}_RAW_010.MAT"] = fixtures.mat_v73({"x": values})
    fixtures.write(mirror / "sidd" / "SIDD_Small_Raw_Only.zip", fixtures.zipped(members))


def photographs(folder: Path) -> None:
    """A folder of one's own images."""
    for i, (clean, _) in enumerate(native_crops()):
        save(folder / f"{i}.png", clean)


def only_noisy(folder: Path) -> None:
    """A folder of one's own noisy images, whose pixels share no noise."""
    for i, (clean, _) in enumerate(native_crops()):
        noise = 20 * np.random.default_rng(i).standard_normal(clean.shape)
        save(folder / f"{i}.png", np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8))


def camera_raw(folder: Path) -> None:
    """A folder of one's own camera raw files."""
    shutil.copytree(MIRROR / "raw", folder, ignore=shutil.ignore_patterns("*.raw"))
    for i, mosaic in enumerate(mosaics()):
        fixtures.write(folder / f"{i}.dng", fixtures.dng(mosaic, "rggb", (BLACK,), WHITE))


def pairs(folder: Path) -> None:
    """A folder of one's own pairs."""
    for i, (clean, noisy) in enumerate(native_crops()):
        save(folder / "clean" / f"{i}.png", clean)
        save(folder / "noisy" / f"{i}.png", noisy)
