"""Near-copies are found whatever was done to them, others are not, and none is on two sides."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from degrain.errors import DataError
from degrain.ingest.datasets import catalog, listing, manifest, near_copies
from degrain.ingest.datasets.near_copies import BLOCK, LIMIT, Groups, Pair
from degrain.ingest.formats import writing
from degrain.ingest.formats.containers import Containers
from degrain.ingest.formats.picture import Picture
from degrain.params.prepare import SplitParams
from degrain.params.study import Params
from degrain.patches import splits
from tests.ingest.datasets.test_catalog import composed, needs_mirror

PHOTOGRAPHS = {
    "astronaut": skimage.data.astronaut()[:256, :320],
    "coffee": skimage.data.coffee()[100:356, 100:420],
    "chelsea": skimage.data.chelsea()[20:276, 50:370],
    "rocket": skimage.data.rocket()[:256, 100:420],
}


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def noisy(pixels: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


DONE = {
    "jpeg 30": lambda pixels: jpeg(pixels, 30),
    "twice jpeg": lambda pixels: jpeg(jpeg(pixels, 80), 50),
    "half": lambda pixels: cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "double": lambda pixels: cv2.resize(pixels, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC),
    "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
    "mirrored, small and jpeg": lambda pixels: jpeg(np.ascontiguousarray(pixels[::3, ::-3]), 60),
    "gray": lambda pixels: cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None],
    "noise 25": lambda pixels: noisy(pixels, 25),
    "noise 50": lambda pixels: noisy(pixels, 50),
    "deep": lambda pixels: pixels.astype(np.uint16) * 257,
    "darker": lambda pixels: (pixels * 0.7).astype(np.uint8),
}


def described(images: list[np.ndarray]) -> np.ndarray:
    return np.stack([near_copies.descriptor(pixels) for pixels in images])


@pytest.mark.parametrize("what", DONE)
def test_a_copy_is_found_whatever_was_done_to_it_and_other_pictures_are_not(what: str) -> None:
    images = [*PHOTOGRAPHS.values(), *(DONE[what](pixels) for pixels in PHOTOGRAPHS.values())]
    pairs = list(near_copies.find(described(images), LIMIT))
    assert sorted((pair.first, pair.second) for pair in pairs) == [(0, 4), (1, 5), (2, 6), (3, 7)]
    assert {pair.mirrored for pair in pairs} == {what.startswith("mirrored")}


def test_flat_images_are_like_nothing() -> None:
    flat = [noisy(np.full((64, 64, 3), 99, np.uint8), 5) for _ in range(3)]
    assert not described(flat).any()
    assert list(near_copies.find(described(flat), LIMIT)) == []


def test_pairs_are_those_of_a_plain_comparison_however_many_blocks_there_are() -> None:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (BLOCK + 70, 16, 16, 1)).astype(np.uint8)
    images[BLOCK + 3] = images[5]
    images[BLOCK + 9] = images[17][:, ::-1]
    images[30] = images[29]
    pairs = {(pair.first, pair.second, pair.mirrored) for pair in near_copies.find(described(list(images)), 0.99)}
    assert pairs == {(5, BLOCK + 3, False), (17, BLOCK + 9, True), (29, 30, False)}
    flat = images.astype(np.float64).reshape(len(images), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    found = {(pair.first, pair.second): pair for pair in near_copies.find(described(list(images)), 0.2)}
    plain = flat @ flat.T
    for first, second in zip(*np.nonzero(np.triu(plain > 0.21, 1)), strict=True):
        pair = found[int(first), int(second)]
        assert pair.mirrored or pair.correlation == pytest.approx(plain[first, second], abs=1e-5)


@pytest.mark.parametrize("limit", [0.7, 0.9, 0.97])
def test_no_pair_is_missed_where_images_differ_most_along_few_axes(limit: float) -> None:
    draw = np.random.default_rng(1)
    coarse = draw.integers(0, 256, (2 * BLOCK, 3, 3)).astype(np.float32)
    images = [cv2.resize(one, (16, 16), interpolation=cv2.INTER_LINEAR)[..., None].astype(np.uint8) for one in coarse]
    descriptors = described(images).astype(np.float64)
    even, odd = descriptors[:, :128], descriptors[:, 128:]
    plain = even @ even.T + np.abs(odd @ odd.T)
    certain, possible = (
        {
            (int(first), int(second))
            for first, second in zip(*np.nonzero(np.triu(plain > limit + slack, 1)), strict=True)
        }
        for slack in (1e-5, -1e-5)
    )
    found = [(pair.first, pair.second) for pair in near_copies.find(described(images), limit)]
    assert len(certain) > 10
    assert len(found) == len(set(found))
    assert certain <= set(found) <= possible


def test_groups_join_pairs_over_others() -> None:
    groups = Groups(6)
    for first, second in ((4, 5), (1, 2), (2, 4)):
        groups.join(first, second)
    assert [groups.of(number) for number in range(6)] == [0, 1, 1, 3, 1, 1]


@pytest.fixture
def table(tmp_path: Path) -> tuple[list[Pair], manifest.pd.DataFrame]:
    images = {**PHOTOGRAPHS, "z-astronaut": DONE["jpeg 30"](PHOTOGRAPHS["astronaut"]), "copy": PHOTOGRAPHS["coffee"]}
    for name, pixels in images.items():
        writing.write(tmp_path / f"{name}.png", Picture(pixels))
    listed = listing.table({"path": f"{name}.png", "source": name} for name in sorted(images))
    with Containers(tmp_path) as containers:
        built, pairs = manifest.build(containers, listed, LIMIT)
    return pairs, built


def test_the_manifest_names_the_first_of_each_group(table: tuple[list[Pair], manifest.pd.DataFrame]) -> None:
    pairs, built = table
    found = built.set_index("path")["near_copies"].dropna().to_dict()
    assert found == {"astronaut.png": "astronaut.png", "z-astronaut.png": "astronaut.png"}
    assert [(built["path"][pair.first], built["path"][pair.second]) for pair in pairs] == [
        ("astronaut.png", "z-astronaut.png")
    ]
    assert built.set_index("path")["duplicate_of"].dropna().to_dict() == {"copy.png": "coffee.png"}


def test_near_copies_on_two_sides_are_refused_or_dropped(table: tuple[list[Pair], manifest.pd.DataFrame]) -> None:
    built = table[1][table[1]["duplicate_of"].isna()].reset_index(drop=True)
    sides = {"val": ["rocket"], "test": ["astronaut"]}
    words = (
        r"the same picture \(encoded anew, resized or mirrored\) would be on two sides: astronaut.png \(test\), z-ast"
    )
    with pytest.raises(DataError, match=words):
        splits.assign(built, SplitParams.model_validate(sides), 0)
    dropped = splits.assign(built, SplitParams.model_validate(sides | {"overlap": "drop"}), 0).of
    assert dict(zip(built["path"], dropped, strict=True))["z-astronaut.png"] == splits.DROPPED
    leaky = splits.assign(built, SplitParams.model_validate(sides | {"published_leaky": True}), 0)
    assert leaky.leaks["near_copies"] == 1


@needs_mirror
def test_no_face_of_fer_is_on_two_sides_not_even_as_a_near_copy(run_stages: Callable[..., Params]) -> None:
    """FER-2013 has the same photographs with and without a watermark, and cut a little otherwise."""
    run_stages(composed("fer2013"), "download", "validate", "prepare")
    record = manifest.Validation.read(Path("data/validated/validation.json"))
    assert len(record.near_copies) > 12
    assert len(list(Path("data/validated/near_copies").glob("*.png"))) == min(24, len(record.near_copies))
    sides = manifest.pd.read_parquet("data/prepared/images.parquet").set_index("path")["side"]
    apart = [
        pair
        for pair in record.near_copies
        if len({sides.get(pair.first, "dropped"), sides.get(pair.second, "dropped")} - {"dropped"}) > 1
    ]
    assert apart == []
    assert (sides == "dropped").sum() > 9


def test_digits_and_clothes_have_limits_of_their_own() -> None:
    limits = {name: catalog.spec(name).expected.near_copies for name in ("mnist", "fashion-mnist", "fer2013")}
    assert limits == {"mnist": 0.997, "fashion-mnist": 0.9995, "fer2013": LIMIT}
