"""Patches and the store: nothing on two sides, nothing lost, nothing random that should be fixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from degrain.errors import DataError
from degrain.ingest.datasets import listing, manifest
from degrain.ingest.formats.containers import Containers
from degrain.params.study import Params
from degrain.patches import splits, stand_in
from degrain.patches.grid import grid
from degrain.patches.store import PatchStore, PatchWriter, content_digest
from tests.conftest import Whole, grainy, manifest_of, picture, prepare, save


def test_a_grid_covers_the_image_and_never_leaves_it() -> None:
    places = list(grid((200, 130), 64, 32))
    assert len(places) == 5 * 3
    assert max(top for top, _ in places) == 128
    assert max(left for _, left in places) == 64
    assert not list(grid((63, 100), 64, 64))


def test_a_grown_array_is_read_back_by_numpy(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (1234, 4, 5, 3), dtype=np.uint8)
    with PatchWriter(tmp_path / "x.npy", (4, 5, 3), np.dtype(np.uint8)) as writer:
        for start in range(0, len(rows), 100):
            writer.extend(rows[start : start + 100])
    assert np.array_equal(np.load(tmp_path / "x.npy", mmap_mode="r"), rows)


def test_a_row_of_another_shape_or_type_is_refused(tmp_path: Path) -> None:
    with PatchWriter(tmp_path / "x.npy", (2, 2), np.dtype(np.uint8)) as writer:
        with pytest.raises(ValueError, match="expected"):
            writer.extend(np.zeros((1, 2, 3), np.uint8))
        with pytest.raises(ValueError, match="expected"):
            writer.extend(np.zeros((1, 2, 2), np.float32))


def test_patches_are_the_pixels_that_the_index_names(store: PatchStore, tmp_path: Path) -> None:
    for name in splits.SPLITS:
        side = store.split(name)
        assert len(side) == 12
        for patch, row in zip(side.clean, side.index.itertuples(), strict=True):
            whole = picture("abc".index(row.source))
            assert np.array_equal(patch, whole[row.top : row.top + 32, row.left : row.left + 32])


def test_no_source_is_on_two_sides(store: PatchStore) -> None:
    sources = [set(store.split(name).index["source"]) for name in splits.SPLITS]
    assert not sources[0] & sources[1] | sources[0] & sources[2] | sources[1] & sources[2]
    images = pd.read_parquet(store.folder / "images.parquet")
    assert dict(zip(images["source"], images["side"], strict=True)) == {"a": "train", "b": "val", "c": "test"}


def test_held_out_noise_is_fixed_and_differs_between_patches(store: PatchStore) -> None:
    assert store.split("train").noisy is None
    for name in ("val", "test"):
        side = store.split(name)
        assert side.noisy is not None
        noise = np.asarray(side.noisy, np.float64) - side.clean
        assert noise[0].tolist() != noise[1].tolist()
        assert abs(noise[np.abs(side.clean - 128.0) < 40].std() - 25) < 1  # away from clipping


def test_whole_test_images_are_kept(store: PatchStore) -> None:
    (photograph,) = store.photographs()
    assert photograph.name == "c"
    assert np.array_equal(photograph.clean, picture(2))
    assert photograph.noisy.shape == photograph.clean.shape


def test_preparing_again_gives_the_same_bytes(
    store: PatchStore, tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    params = make_params(
        prepare={"patch_size": 32, "stride": 32, "split": {"val": ["b"], "test": ["c"]}, "min_std": 0.0}
    )
    again = tmp_path / "again"
    prepare(again, tmp_path / "raw", manifest_of(tmp_path / "raw"), params)
    assert content_digest(again) == store.sha256
    assert (again / "store.json").read_bytes() == (store.folder / "store.json").read_bytes()


def test_flat_patches_are_left_out_of_training_only(tmp_path: Path, make_params: Callable[..., Params]) -> None:
    half_flat = picture(0, 64, 128)
    half_flat[:, :64] = 50
    for brightness, name in enumerate("abc"):
        save(tmp_path / "raw" / f"{name}.png", half_flat + np.uint8(brightness))
    params = make_params(prepare={"stride": 64, "split": {"val": ["b"], "test": ["c"]}, "min_std": 5.0})
    store = prepare(tmp_path / "store", tmp_path / "raw", manifest_of(tmp_path / "raw"), params)
    assert store.counts == {"train": 1, "val": 2, "test": 2}


def test_images_too_small_for_a_patch_are_refused(tmp_path: Path, make_params: Callable[..., Params]) -> None:
    for seed, name in enumerate("abc"):
        save(tmp_path / "raw" / f"{name}.png", picture(seed, 40, 40))
    params = make_params(prepare={"split": {"val": ["b"], "test": ["c"]}})
    with pytest.raises(DataError, match="no patch of 64 pixels"):
        prepare(tmp_path / "store", tmp_path / "raw", manifest_of(tmp_path / "raw"), params)


def test_a_damaged_store_is_not_trusted(store: PatchStore) -> None:
    array = store.folder / "val" / "clean.npy"
    array.write_bytes(array.read_bytes()[:-1000])
    with pytest.raises(DataError, match=r"val/clean.npy has changed while it was used; run: dvc repro -f -s prepare"):
        store.split("val")
    with pytest.raises(DataError, match=r"is damaged \(its checksum is another\); run: dvc repro -f -s prepare"):
        PatchStore.open(store.folder)
    with pytest.raises(DataError, match=r"was prepared from another manifest .* run: dvc repro prepare"):
        store.check_manifest("1" * 64)
    store.check_manifest("0" * 64)
    (store.folder / "store.json").write_text("{}")
    with pytest.raises(
        DataError, match=r"store.json is no record of prepare: it has no schema version; run: dvc repro -f -s prepare"
    ):
        PatchStore.open(store.folder)


SPLIT = {"val": ["b"], "test": ["c"]}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Three color images of 96 x 128 pixels."""
    for seed, name in enumerate("abc"):
        save(tmp_path / "raw" / f"{name}.png", picture(seed))
    return tmp_path / "raw"


@pytest.fixture
def fill(tmp_path: Path, make_params: Callable[..., Params], raw: Path) -> Callable[..., PatchStore]:
    """Prepare the three images by other parameters: fill(crops=12)."""

    def prepared(name: str = "store", **change: Any) -> PatchStore:
        settings = {"patch_size": 32, "stride": 32, "min_std": 0.0, "split": SPLIT} | change
        return prepare(tmp_path / name, raw, manifest_of(raw), make_params(prepare=settings))

    return prepared


def test_random_crops_are_seeded_and_of_this_image(fill: Callable[..., PatchStore]) -> None:
    store = fill(crops=12)
    assert store.counts == {"train": 12, "val": 12, "test": 12}
    side = store.split("test")
    for patch, row in zip(side.clean, side.index.itertuples(), strict=True):
        assert np.array_equal(patch, picture(2)[row.top : row.top + 32, row.left : row.left + 32])
    assert len(set(zip(side.index["top"], side.index["left"], strict=True))) > 8
    assert fill("again", crops=12).sha256 == store.sha256
    assert fill("other", crops=12, seed=1).sha256 != store.sha256


def test_images_are_cut_again_when_they_are_shrunk(fill: Callable[..., PatchStore]) -> None:
    once, store = fill(), fill("both", shrink=[1, 2])
    assert once.counts == {"train": 12, "val": 12, "test": 12}
    assert store.counts == {"train": 14, "val": 14, "test": 14}
    side, alone = store.split("test"), once.split("test")
    assert np.array_equal(side.clean[:12], alone.clean)
    assert np.array_equal(side.noisy[:12], alone.noisy)
    halved = picture(2).reshape(48, 2, 64, 2, 3).mean((1, 3))
    for patch, row in zip(side.clean[12:], side.index[12:].itertuples(), strict=True):
        assert np.abs(patch - halved[row.top : row.top + 32, row.left : row.left + 32]).max() <= 0.5
    assert list(side.index["place"]) == list(range(14))


def test_crops_of_a_shrunk_image_do_not_move_those_of_the_image(fill: Callable[..., PatchStore]) -> None:
    store = fill("both", crops=5, shrink=[3, 1])
    assert store.counts == {"train": 10, "val": 10, "test": 10}
    side, alone = store.split("test"), fill(crops=5).split("test")
    assert np.array_equal(side.clean[5:], alone.clean)


def test_a_size_at_which_no_patch_fits_gives_none(fill: Callable[..., PatchStore]) -> None:
    assert fill(shrink=[1, 4, 60]).counts == {"train": 12, "val": 12, "test": 12}


def test_another_image_changes_neither_crops_nor_noise_of_the_others(
    fill: Callable[..., PatchStore], raw: Path
) -> None:
    before = fill(crops=3).split("test")
    save(raw / "0.png", picture(7))
    after = fill("more", crops=3).split("test")
    assert np.array_equal(before.clean, after.clean)
    assert before.noisy is not None
    assert np.array_equal(before.noisy, after.noisy)


def test_fixed_copies_take_no_space(fill: Callable[..., PatchStore]) -> None:
    store = fill(copies=100)
    side = store.split("train")
    assert len(side) == 1200
    assert len(side.clean) == 12
    assert side.noisy is None
    assert side.index.groupby("patch")["copy"].nunique().tolist() == [100] * 12
    assert store.counts["val"] == 12


def test_copies_on_all_sides_are_the_published_leak(fill: Callable[..., PatchStore]) -> None:
    leaky = {"by": "copy", "val": 0.1, "test": 0.2, "published_leaky": True}
    store = fill(copies=50, split=leaky)
    assert store.leaks == {"source": 3}
    assert sum(store.counts.values()) == 3 * 12 * 50
    sides = {name: store.split(name).index for name in splits.SPLITS}
    addresses = [set(zip(side["image"], side["copy"], strict=True)) for side in sides.values()]
    assert not addresses[0] & addresses[1]
    assert not addresses[0] & addresses[2]
    assert not addresses[1] & addresses[2]
    assert all(set(side["source"]) == set("abc") for side in sides.values())


def test_images_are_resized_and_turned_gray_before_they_are_cut(fill: Callable[..., PatchStore]) -> None:
    resize = {"size": [64, 48], "method": "area"}
    store = fill(resize=resize, color="gray", split=SPLIT)
    (clean,) = (photograph.clean for photograph in store.photographs())
    expected = cv2.resize(cv2.cvtColor(picture(2), cv2.COLOR_RGB2GRAY), (64, 48), interpolation=cv2.INTER_AREA)
    assert np.array_equal(clean[..., 0], expected)
    assert store.channels == 1
    assert store.counts["test"] == 2


def test_images_may_have_another_size_on_the_way(fill: Callable[..., PatchStore]) -> None:
    store = fill(resize={"via": [24, 16], "size": [64, 48], "method": "linear"}, split=SPLIT)
    (clean,) = (photograph.clean for photograph in store.photographs())
    assert np.array_equal(clean, cv2.resize(cv2.resize(picture(2), (24, 16)), (64, 48)))


def test_sixteen_bits_are_kept(tmp_path: Path, make_params: Callable[..., Params]) -> None:
    deep = {}
    for seed, name in enumerate("abc"):
        deep[name] = picture(seed, channels=1).astype(np.uint16) * np.uint16(257) + np.uint16(3)
        save(tmp_path / "raw" / f"{name}.png", deep[name])
    params = make_params(prepare={"bits": 16, "split": SPLIT, "min_std": 1.0, "stride": 64})
    store = prepare(tmp_path / "store", tmp_path / "raw", manifest_of(tmp_path / "raw"), params)
    side = store.split("test")
    assert np.array_equal(side.clean[0], deep["c"][:64, :64])
    assert side.noisy is not None
    assert side.noisy.dtype == np.uint16


def test_real_pairs_are_cut_at_the_same_places_on_every_side(
    tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    for seed, name in enumerate("abc"):
        save(tmp_path / "raw" / "clean" / f"{name}.png", picture(seed))
        save(tmp_path / "raw" / "noisy" / f"{name}.png", 255 - picture(seed))
    listed = listing.pair(
        (f"{side}/{name}.png", side == "noisy", {"source": name}) for side in ("clean", "noisy") for name in "abc"
    )
    with Containers(tmp_path / "raw") as containers:
        table, _ = manifest.build(containers, listed)
    params = make_params(prepare={"crops": 5, "split": SPLIT, "noise": Whole({"kind": "real"})})
    store = prepare(tmp_path / "store", tmp_path / "raw", table, params)
    for name in splits.SPLITS:
        side = store.split(name)
        assert side.noisy is not None
        assert np.array_equal(side.noisy, 255 - side.clean)
    (whole,) = store.photographs()
    assert np.array_equal(whole.noisy, 255 - whole.clean)


def test_real_noise_needs_pairs(fill: Callable[..., PatchStore], make_params: Callable[..., Params]) -> None:
    with pytest.raises(DataError, match="has no noisy partners"):
        fill(noise=Whole({"kind": "real"}))


def test_noise_that_a_library_cannot_add_to_these_images_is_refused(fill: Callable[..., PatchStore]) -> None:
    with pytest.raises(DataError, match="iso noise cannot be added to images of 1 channels"):
        fill(noise=Whole({"kind": "iso"}), color="gray")


def test_images_of_different_channels_are_refused_with_the_way_out(fill: Callable[..., PatchStore], raw: Path) -> None:
    save(raw / "d.png", picture(5, channels=1))
    with pytest.raises(DataError, match=r"set prepare\.color to gray or rgb"):
        fill()
    assert fill("mended", color="rgb").counts["train"] == 24


def test_so_many_whole_images_are_kept_as_the_study_wants(fill: Callable[..., PatchStore]) -> None:
    split = {"val": ["a"], "test": ["b", "c"]}
    with pytest.raises(DataError, match="the train split is empty"):
        fill(split=split)
    assert fill("one", whole_images=1).photographs()[0].name == "c"
    assert fill("none", whole_images=0).photographs() == []


def test_whole_images_have_names_of_their_own(tmp_path: Path, make_params: Callable[..., Params]) -> None:
    names = [
        "cat.png",
        "cat.jpg",
        "cat-view2.png",
        "Cat.png",
        "猫.png",
        "犬.png",
        "a b.png",
        "a-b.png",
        "train.png",
        "val.png",
    ]
    for number, name in enumerate(names):
        save(tmp_path / "raw" / name, picture(number))
    test = sorted({Path(name).stem for name in names} - {"train", "val"})
    params = make_params(
        prepare={"patch_size": 32, "stride": 32, "whole_images": 20, "split": {"val": ["val"], "test": test}}
    )
    store = prepare(tmp_path / "prepared", tmp_path / "raw", manifest_of(tmp_path / "raw"), params)
    found = {photograph.name: photograph.clean for photograph in store.photographs()}
    assert set(found) == {
        "Cat",
        "cat-77af77",
        "cat-view2",
        "cat-view2-686062",
        "猫",
        "犬",
        "a-b",
        "a-b-d44362",
    }
    assert len({clean.tobytes() for clean in found.values()}) == len(found)


def test_of_images_that_are_noisy_only_the_held_out_are_halved(noisy_store: PatchStore) -> None:
    train = noisy_store.split("train")
    assert train.noisy is None
    assert np.array_equal(train.clean[0], grainy(0)[:32, :32])
    assert noisy_store.counts == {"train": 12, "val": 2, "test": 2}
    for side, seed in (("val", 1), ("test", 2)):
        noisy, between = stand_in.halved(grainy(seed))
        held_out = noisy_store.split(side)
        assert held_out.noisy is not None
        assert np.array_equal(held_out.noisy[1], noisy[:32, 32:64])
        assert np.array_equal(held_out.clean[1], between[:32, 32:64])
    (photograph,) = noisy_store.photographs()
    assert np.array_equal(photograph.noisy, noisy)
    assert np.array_equal(photograph.clean, between)


ONLY_NOISY = {"patch_size": 32, "stride": 32, "min_std": 0.0, "split": {"val": ["b"], "test": ["c"]}}


def prepare_noisy(folder: Path, params: Params, make: Callable[[int], np.ndarray]) -> PatchStore:
    for seed, name in enumerate("abc"):
        save(folder / "raw" / f"{name}.png", make(seed))
    return prepare(folder / "store", folder / "raw", manifest_of(folder / "raw"), params)


def test_noise_that_pixels_share_is_refused_unless_the_study_allows_it(
    tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    def blurred(seed: int) -> np.ndarray:
        return np.asarray(cv2.GaussianBlur(grainy(seed), (3, 3), 0))

    words = r"^prepare\.noise: the noise of pixels 1 apart has a correlation of \+0\.[5-9].*2x2 pixels$"
    params = make_params(prepare={**ONLY_NOISY, "noise": Whole(kind="unknown")})
    with pytest.raises(DataError, match=words):
        prepare_noisy(tmp_path / "refused", params, blurred)
    params = make_params(prepare={**ONLY_NOISY, "noise": Whole(kind="unknown", max_correlation=1)})
    assert prepare_noisy(tmp_path / "allowed", params, blurred).counts["train"] == 12


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((96, 128), r"^prepare\.noise: unknown needs noisy images, and the flattest parts of these have no noise"),
        ((62, 64), r"^the val split has no patch of 32 pixels: its images are smaller \(held-out ones when"),
    ],
)
def test_images_without_noise_or_too_small_to_halve_are_refused(
    tmp_path: Path, make_params: Callable[..., Params], size: tuple[int, int], words: str
) -> None:
    params = make_params(prepare={**ONLY_NOISY, "noise": Whole(kind="unknown")})
    with pytest.raises(DataError, match=words):
        prepare_noisy(tmp_path, params, lambda seed: np.full((*size, 3), 100 + seed, np.uint8))
