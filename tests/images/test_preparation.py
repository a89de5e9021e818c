"""Patches, splits and the store: nothing on two sides, nothing lost, nothing random that should be fixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from degrain.errors import DataError, ParamsError
from degrain.images import patches, preparation, splits
from degrain.images.store import PatchStore, PatchWriter, content_digest
from degrain.params import Params, SplitParams
from tests.conftest import picture, save


def test_a_grid_covers_the_image_and_never_leaves_it() -> None:
    places = list(patches.grid((200, 130), 64, 32))
    assert len(places) == 5 * 3
    assert max(top for top, _ in places) == 128
    assert max(left for _, left in places) == 64
    assert not list(patches.grid((63, 100), 64, 64))


def test_sixteen_bits_are_rounded_to_eight() -> None:
    deep = np.array([0, 128, 129, 257, 65535], np.uint16)
    assert patches.to_8_bits(deep).tolist() == [0, 0, 1, 1, 255]


def test_named_sources_are_held_out_and_the_rest_trains() -> None:
    sides = splits.assign(["a", "b", "c", "d", "a"], SplitParams(val=["b"], test=["c"]), seed=0)
    assert sides == {"a": "train", "b": "val", "c": "test", "d": "train"}


def test_shares_are_of_sources_and_depend_only_on_the_seed() -> None:
    names = [f"s{i}" for i in range(20)]
    first = splits.assign(names, SplitParams(val=0.2, test=0.1), seed=5)
    assert first == splits.assign(names[::-1], SplitParams(val=0.2, test=0.1), seed=5)
    assert first != splits.assign(names, SplitParams(val=0.2, test=0.1), seed=6)
    assert [list(first.values()).count(s) for s in splits.SPLITS] == [14, 4, 2]


def test_an_unknown_source_is_refused_with_the_nearest() -> None:
    with pytest.raises(ParamsError, match="did you mean 'coffee'"):
        splits.assign(["coffee", "rocket", "cat"], SplitParams(val=["cofee"], test=["cat"]), seed=0)


def test_an_empty_side_is_refused() -> None:
    with pytest.raises(DataError, match="the train split is empty"):
        splits.assign(["a", "b"], SplitParams(val=["a"], test=["b"]), seed=0)


def test_a_grown_array_is_read_back_by_numpy(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (1234, 4, 5, 3), dtype=np.uint8)
    with PatchWriter(tmp_path / "x.npy", (4, 5, 3), np.dtype(np.uint8)) as writer:
        for row in rows:
            writer.append(row)
    assert np.array_equal(np.load(tmp_path / "x.npy", mmap_mode="r"), rows)


def test_a_row_of_another_shape_or_type_is_refused(tmp_path: Path) -> None:
    with PatchWriter(tmp_path / "x.npy", (2, 2), np.dtype(np.uint8)) as writer:
        with pytest.raises(ValueError, match="expected"):
            writer.append(np.zeros((2, 3), np.uint8))
        with pytest.raises(ValueError, match="expected"):
            writer.append(np.zeros((2, 2), np.float32))


def test_patches_are_the_pixels_that_the_index_names(store: PatchStore, tmp_path: Path) -> None:
    for name in splits.SPLITS:
        side = store.split(name)
        assert len(side) == 12
        for patch, row in zip(side.clean, side.index.itertuples(), strict=True):
            whole = picture("abc".index(row.source))
            assert np.array_equal(patch, whole[row.top : row.top + 32, row.left : row.left + 32])


def test_no_source_is_on_two_sides(store: PatchStore) -> None:
    sources = [set(store.split(name).index["source"]) for name in splits.SPLITS]
    assert set.intersection(*sources) == set()
    assert store.sources == {"train": ["a"], "val": ["b"], "test": ["c"]}


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
    manifest = pd.DataFrame({"path": ["a.png", "b.png", "c.png"], "source": ["a", "b", "c"], "channels": [3, 3, 3]})
    params = make_params(
        prepare={"patch_size": 32, "stride": 32, "split": {"val": ["b"], "test": ["c"]}, "min_std": 0.0}
    )
    again = tmp_path / "again"
    again.mkdir()
    preparation.fill(again, tmp_path / "raw", manifest, params.prepare)
    assert content_digest(again) == store.sha256
    assert (again / "store.json").read_bytes() == (store.folder / "store.json").read_bytes()


def test_flat_patches_are_left_out_of_training_only(tmp_path: Path, make_params: Callable[..., Params]) -> None:
    half_flat = picture(0, 64, 128)
    half_flat[:, :64] = 50
    for name in "abc":
        save(tmp_path / f"{name}.png", half_flat)
    manifest = pd.DataFrame({"path": [f"{n}.png" for n in "abc"], "source": list("abc"), "channels": [3] * 3})
    params = make_params(prepare={"stride": 64, "split": {"val": ["b"], "test": ["c"]}, "min_std": 5.0})
    folder = tmp_path / "store"
    folder.mkdir()
    assert preparation.fill(folder, tmp_path, manifest, params.prepare) == {"train": 1, "val": 2, "test": 2}


def test_images_too_small_for_a_patch_are_refused(tmp_path: Path, make_params: Callable[..., Params]) -> None:
    for name in "abc":
        save(tmp_path / f"{name}.png", picture(0, 40, 40))
    manifest = pd.DataFrame({"path": [f"{n}.png" for n in "abc"], "source": list("abc"), "channels": [3] * 3})
    params = make_params(prepare={"split": {"val": ["b"], "test": ["c"]}})
    (tmp_path / "store").mkdir()
    with pytest.raises(DataError, match="no patch of 64 pixels"):
        preparation.fill(tmp_path / "store", tmp_path, manifest, params.prepare)


def test_a_damaged_store_is_not_trusted(store: PatchStore) -> None:
    array = store.folder / "val" / "clean.npy"
    array.write_bytes(array.read_bytes()[:-1000])
    with pytest.raises(DataError, match="damaged"):
        store.split("val")
    (store.folder / "store.json").write_text("{}")
    with pytest.raises(DataError, match="damaged"):
        PatchStore.open(store.folder)
