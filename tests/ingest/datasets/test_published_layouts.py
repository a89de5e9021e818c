"""Data sets that no mirror holds, in the layouts in which they are published, from raw files to the patch store."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from degrain.errors import DataError, ParamsError, ValidationFailed
from degrain.ingest.datasets import catalog, cifar, listing
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.stages import validate
from tests.conftest import Whole, merged, picture, save
from tests.ingest.datasets.test_catalog import composed
from tests.ingest.formats import fixtures

Run = Callable[..., Params]


def scene(seed: int, side: int = 160, channels: int = 3) -> np.ndarray:
    """A smooth picture whose content differs from the next one's: float in [0, 1]."""
    return cv2.GaussianBlur(picture(seed, side, side, channels), (0, 0), 2).reshape(side, side, channels) / 255


def noisy(clean: np.ndarray, seed: int, sigma: float = 0.03) -> np.ndarray:
    return np.clip(clean + sigma * np.random.default_rng(seed).standard_normal(clean.shape), 0, 1)


def eight(unit: np.ndarray) -> np.ndarray:
    return np.rint(unit * 255).astype(np.uint8)


def study(name: str, **change: Any) -> dict[str, Any]:
    return merged(composed(name), change)


def opened() -> PatchStore:
    return PatchStore.open(Path("data/prepared"))


# Three public instances of different scenes, and two phones; held out by scene.
INSTANCES = (
    "0003_001_S6_00100_00060_3200_H",
    "0033_001_IP_00100_00160_3200_N",
    "0054_003_N6_00100_00160_5500_N",
    "0192_009_IP_00100_00200_3200_N",
)
SPLIT = {"by": "scene", "val": ["009"], "test": ["003"]}


def test_sidd_medium_with_two_frames_of_each_instance(run_stages: Run) -> None:
    members = {}
    for seed, name in enumerate(INSTANCES):
        for frame in ("010", "011"):
            clean = scene(seed)
            members[f"Data/{name}/{name[:4]}_GT_SRGB_{frame}.PNG"] = fixtures.encoded(eight(clean))
            grain = fixtures.encoded(eight(noisy(clean, 10 * seed + int(frame))))
            members[f"Data/{name}/{name[:4]}_NOISY_SRGB_{frame}.PNG"] = grain
    fixtures.write(Path("data/raw/sidd-medium/SIDD_Medium_Srgb.zip"), fixtures.zipped(members))
    change = {"validate": {"partial": True, "min_side": 64}, "prepare": {"split": SPLIT, "crops": 4}}
    run_stages(study("sidd-medium", **change), "validate", "prepare")
    store = opened()
    assert store.counts == {"train": 16, "val": 8, "test": 8}
    assert set(store.split("train").index["source"]) == {INSTANCES[0], INSTANCES[1]}
    assert store.images().groupby("side")["unit"].unique().map(list).to_dict() == {
        "train": ["001"],
        "val": ["009"],
        "test": ["003"],
    }
    assert len(store.photographs()) == 2


def test_sidd_raw_mosaics_become_four_channels_of_sixteen_bits(run_stages: Run) -> None:
    """Values are written by hand: the packed channels must be R, G, G, B whatever the phone's pattern."""
    members, light = {}, {}
    for seed, name in enumerate(INSTANCES):
        pattern = {"S6": "grbg", "IP": "rggb", "N6": "bggr"}[name[9:11]]
        image = scene(seed, side=128)
        mosaic = np.empty((256, 256), np.float32)
        for place, color in enumerate(pattern):
            mosaic[place // 2 :: 2, place % 2 :: 2] = image[..., "rgb".index(color)] * 0.5
        light[name] = image * 0.5
        for kind, values in (("GT", mosaic), ("NOISY", noisy(mosaic, seed, 0.01).astype(np.float32))):
            data = fixtures.mat_v73({"x": values})
            members[f"SIDD_Small_Raw_Only/Data/{name}/{kind}_RAW_010.MAT"] = data
    fixtures.write(Path("data/raw/sidd-small-raw/SIDD_Small_Raw_Only.zip"), fixtures.zipped(members))
    change = {"validate": {"partial": True, "min_side": 64}, "prepare": {"split": SPLIT, "crops": 0, "stride": 64}}
    run_stages(study("sidd-small-raw", **change), "validate", "prepare")
    store = opened()
    assert (store.channels, store.bits, store.counts) == (4, 16, {"train": 8, "val": 4, "test": 4})
    side = store.split("test")
    expected = light[INSTANCES[2]][:64, :64][..., [0, 1, 1, 2]]
    assert np.abs(side.clean[0] / 65535 - expected).max() < 1e-4
    assert side.noisy is not None
    assert (side.noisy[0] / 65535 - expected).std() == pytest.approx(0.01, rel=0.1)


def test_sidd_validation_blocks_are_split_by_image(run_stages: Run) -> None:
    clean = np.stack([np.stack([eight(scene(i + 20 * j, 64)) for j in range(2)]) for i in range(10)])
    grain = np.stack([np.stack([eight(noisy(block / 255, i)) for block in row]) for i, row in enumerate(clean)])
    for kind, blocks in (("Gt", clean), ("Noisy", grain)):
        name = f"Validation{kind}BlocksSrgb"
        fixtures.write(Path(f"data/raw/sidd-validation/{name}.mat"), fixtures.mat_v5(**{name: blocks}))
    change = {"validate": {"min_side": 64, "max_side": 64}, "prepare": {"crops": 0}}
    run_stages(study("sidd-validation", **change), "validate", "prepare")
    store = opened()
    assert sum(store.counts.values()) == 20
    index = store.split("test").index
    assert index.groupby("source", observed=True).size().tolist() == [2] * index["source"].nunique()
    for patch, row in zip(store.split("test").clean, index.itertuples(), strict=True):
        i, j = map(int, row.image.split("::")[1].split("/"))
        assert np.array_equal(patch, clean[i, j])


def test_cifar_in_its_binary_version(run_stages: Run) -> None:
    members = {}
    for seed, batch in enumerate(cifar.BATCHES):
        members[f"cifar-10-batches-bin/{batch}"] = fixtures.cifar_batch(20, seed)[0]
    fixtures.write(Path("data/raw/cifar10") / cifar.ARCHIVE, fixtures.tarred(members))
    run_stages(study("cifar10", data={"limit": 0}, validate={"partial": True}), "validate", "prepare")
    store = opened()
    assert store.counts["test"] == 20
    assert store.counts["train"] + store.counts["val"] == 100
    table = pd.read_parquet("data/validated/manifest.parquet")
    assert set(table["label"]) <= set(cifar.CLASSES)


def test_the_whole_of_a_published_set_is_asked_for_unless_a_part_will_do(run_stages: Run) -> None:
    members = {f"cifar-10-batches-bin/{batch}": fixtures.cifar_batch(20, i)[0] for i, batch in enumerate(cifar.BATCHES)}
    fixtures.write(Path("data/raw/cifar10") / cifar.ARCHIVE, fixtures.tarred(members))
    with pytest.raises(ValidationFailed, match=r"test has 20, train has 100.*validate\.partial: true"):
        run_stages(study("cifar10"), "validate")


FULL = fixtures.gz(fixtures.idx(np.zeros((1, 28, 28), np.uint8)))
NOTHING = b"PK\5\6" + bytes(18)
BLOCKS = np.zeros((1, 1, 64, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("fer2013", {"fer2013.zip": NOTHING}, "fer2013.zip holds no file"),
        ("cifar10-images", {"cifar10-images.zip": NOTHING}, "cifar10-images.zip holds no file"),
        ("sidd-small", {"SIDD_Small_sRGB_Only.zip": NOTHING}, "holds no file"),
        ("bsd", {"BSD400.zip": fixtures.zipped({"a/": b""})}, "BSD400.zip holds no file"),
        ("cifar10", {cifar.ARCHIVE: fixtures.tarred({})}, f"{cifar.ARCHIVE} holds no file"),
        ("cifar10", {cifar.ARCHIVE: fixtures.tarred({"a.txt": b"x"})}, "holds no CIFAR-10 batch"),
        ("cifar10", {cifar.ARCHIVE: fixtures.tarred({"a.bin": b""})}, "a.bin is no CIFAR-10 batch: 0 bytes"),
        *(
            (
                "mnist",
                {"train-images-idx3-ubyte.gz": fixtures.gz(fixtures.idx(np.zeros(shape, np.uint8)))},
                f"train-images-idx3-ubyte.gz is empty: its shape is {' x '.join(map(str, shape))}",
            )
            for shape in ((0, 28, 28), (5, 0, 28), (0, 0, 0))
        ),
        (
            "mnist",
            {
                "train-images-idx3-ubyte.gz": FULL,
                "train-labels-idx1-ubyte.gz": fixtures.gz(fixtures.idx(np.zeros(0, np.uint8))),
            },
            "train-labels-idx1-ubyte.gz is empty: its shape is 0",
        ),
        ("mnist", {"train-images-idx3-ubyte.gz": fixtures.gz(b"")}, "is no idx file of images"),
        *(
            ("sidd-validation", {"ValidationGtBlocksSrgb.mat": made}, "is empty")
            for made in (fixtures.mat_v5(x=BLOCKS[:0]), fixtures.mat_v5(x=BLOCKS[:, :, :0]))
        ),
        ("sidd-validation", {"ValidationGtBlocksSrgb.mat": fixtures.mat_v73({"x": BLOCKS[:0]})}, "is empty"),
        ("sidd-validation", {"ValidationGtBlocksSrgb.mat": fixtures.mat_v5()}, "holds no array to read"),
        ("folder", {}, "the data set holds no image"),
        ("pairs", {}, "the data set holds no image"),
    ],
)
def test_a_data_set_without_an_image_is_refused(
    run_stages: Run, name: str, content: dict[str, bytes], words: str
) -> None:
    for file, data in content.items():
        fixtures.write(Path("data/raw") / name / file, data)
    with pytest.raises(DataError) as caught:
        run_stages(study(name), "validate")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


PHOTO = "Data/0001_001_S6_00100_00060_3200_L/0001_{}_SRGB_010.PNG"
RAW = "Data/0001_001_S6_00100_00060_3200_L/{}_RAW_010.MAT"
CROP = "cs512/{}_set/IP_01_{}_SRGB_001.PNG"
BATCHES = {f"cifar-10-batches-bin/{batch}": fixtures.cifar_batch(1)[0] for batch in cifar.BATCHES}
# For each data set that picks images out of archives: file, what it takes, what it leaves out.
ARCHIVES: dict[str, tuple[str, list[str], list[str]]] = {
    "fer2013": (
        "fer2013.zip",
        ["train/happy/1.jpg", "test/sad/2.JPG", "test/sad/3.Jpeg"],
        ["train/happy/1.png", "train/happy/more/1.jpg", "train/1.jpg", "train/Happy/1.jpg", "loose.JPG"],
    ),
    "vinbigdata-512": (
        "vinbigdata-512-image-dataset.zip",
        ["vinbigdata/train/a.png", "v/vinbigdata/test/b.PNG"],
        ["vinbigdata/train/a.jpg", "vinbigdata/val/a.png", "other/train/a.png"],
    ),
    "cifar10-images": (
        "cifar10-images.zip",
        ["cifar10-images/train/cat/1.jpg", "cifar10-images/test/dog/1.JPEG"],
        ["cifar10-images/train/cat/1.png", "train/cat/1.jpg"],
    ),
    "bsd": ("BSD68.zip", ["BSD68/1.png", "BSD68/2.PNG"], ["BSD68/1.jpg", "BSD68/more/1.png", "1.png"]),
    "cbsd": (
        "CBSD68.zip",
        ["CBSD68/test001_1.jpg", "CBSD68/test002_2.JPG"],
        ["CBSD68/test001_1.png", "CBSD68/more/1.jpg", "1.jpg"],
    ),
    "sidd-small": (
        "SIDD_Small_sRGB_Only.zip",
        [PHOTO.format("GT"), PHOTO.format("NOISY").replace(".PNG", ".png")],
        [PHOTO.format("GT").replace(".PNG", ".jpg"), PHOTO.format("MEAN"), PHOTO.format("GT").replace("S6", "X1")],
    ),
    "sidd-small-raw": (
        "SIDD_Small_Raw_Only.zip",
        [RAW.format("GT"), RAW.format("NOISY").replace(".MAT", ".mat")],
        [RAW.format("MEAN"), RAW.format("GT").replace("S6", "X1")],
    ),
    "sidd-native-crops": (
        "sidd-native-crops.zip",
        ["native/gt/1.png", "native/noisy/1.PNG"],
        ["native/gt/one.png", "native/mean/1.png", "native/gt/1.jpg"],
    ),
    "sidd-scene001-crops": (
        "sidd-scene001-crops.zip",
        [CROP.format("gt", "GT"), CROP.format("noisy", "NOISY").replace(".PNG", ".png")],
        [CROP.format("gt", "MEAN"), CROP.format("gt", "GT").replace("IP", "X1")],
    ),
}
# Of those with an archive for each part, the one to train on.
TRAINING = {
    "bsd": {"BSD400.zip": fixtures.zipped({"bsd400-gray180/1.PNG": b""})},
    "cbsd": {"CBSD400.zip": fixtures.zipped({"CBSD400/train/1.jpg": b"", "CBSD400/test/2.JPG": b""})},
}


def test_every_data_set_that_picks_images_out_of_archives_is_tried() -> None:
    packed = {name: spec for name, spec in catalog.DATASETS.items() if spec.unpack is None}
    zipped = {name for name, spec in packed.items() if any(f.name.endswith(".zip") for f in spec.files)}
    assert zipped - {"sidd-medium"} == set(ARCHIVES)


@pytest.mark.parametrize("name", ARCHIVES)
def test_images_of_another_layout_are_said(
    tmp_path: Path, make_params: Run, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    file, taken, others = ARCHIVES[name]
    harmless = ["readme.txt", "train.csv", RAW.format("METADATA")]
    fixtures.write(tmp_path / file, fixtures.zipped(dict.fromkeys([*taken, *others, *harmless], b"")))
    for training, content in TRAINING.get(name, {}).items():
        fixtures.write(tmp_path / training, content)
    with caplog.at_level("WARNING", "degrain"):
        listed = catalog.spec(name).images(tmp_path, make_params().data)
    found = {path.split("::")[1] for column in ("path", "noisy") for path in listed[column].dropna()}
    assert found >= set(taken)
    assert not found & set(others)
    shown = ", ".join(sorted(others)[:3])
    assert caplog.messages == [f"{file}: left out: {len(others)} images of another layout, such as {shown}"]


def test_batches_and_images_beside_the_batches_of_cifar_are_said(
    tmp_path: Path, make_params: Run, caplog: pytest.LogCaptureFixture
) -> None:
    one = fixtures.cifar_batch(1)[0]
    beside = {"cifar-10-batches-bin/data_batch_6.bin": one, "a.PNG": b"", "cifar-10-batches-bin/readme.html": b""}
    path = fixtures.write(tmp_path / cifar.ARCHIVE, fixtures.tarred({**BATCHES, **beside}))
    with caplog.at_level("WARNING", "degrain"):
        assert len(catalog.spec("cifar10").images(tmp_path, make_params().data)) == 6
    batches = "left out: 1 batches of another layout, such as cifar-10-batches-bin/data_batch_6.bin"
    assert caplog.messages == [
        f"{path}: left out: 1 images of another layout, such as a.PNG",
        f"{cifar.ARCHIVE}: {batches}",
    ]


def _idx_files(images: int = 3) -> dict[str, bytes]:
    labels, pixels = np.arange(images, dtype=np.uint8), np.zeros((images, 28, 28), np.uint8)
    made = {}
    for prefix in ("train", "t10k"):
        made[f"{prefix}-images-idx3-ubyte.gz"] = fixtures.gz(fixtures.idx(pixels))
        made[f"{prefix}-labels-idx1-ubyte.gz"] = fixtures.gz(fixtures.idx(labels))
    return made


def _whole_sets() -> dict[str, dict[str, bytes]]:
    """For each data set the files of a small one of its layout, with images in all published parts."""
    made = {name: {file: fixtures.zipped(dict.fromkeys(taken, b""))} for name, (file, taken, _) in ARCHIVES.items()}
    made["sidd-medium"] = {"SIDD_Medium_Srgb.zip": made["sidd-small"]["SIDD_Small_sRGB_Only.zip"]}
    for name, training in TRAINING.items():
        made[name] |= training
    crops = [
        CROP.format(which.lower(), which).replace("_001", f"_{frame}")
        for which in ("GT", "NOISY")
        for frame in ("120", "121", "122")
    ]
    made["sidd-scene001-crops"] = {"sidd-scene001-crops.zip": fixtures.zipped(dict.fromkeys(crops, b""))}
    made["sidd-validation"] = {
        f"Validation{kind}BlocksSrgb.mat": fixtures.mat_v5(x=np.zeros((2, 2, 64, 64, 3), np.uint8))
        for kind in ("Gt", "Noisy")
    }
    made["cifar10"] = {cifar.ARCHIVE: fixtures.tarred(BATCHES)}
    made["mnist"] = made["fashion-mnist"] = _idx_files()
    made["folder"] = {"a/1.png": b"", "b.png": b""}
    made["pairs"] = {f"{side}/{name}.png": b"" for side in ("noisy", "clean") for name in ("a/1", "b")}
    made["photos"] = made["free-photographs"] = {}
    return made


WHOLE_SETS = _whole_sets()


@pytest.mark.parametrize("name", catalog.DATASETS)
def test_a_listing_has_the_columns_and_parts_that_are_declared(tmp_path: Path, make_params: Run, name: str) -> None:
    for file, data in WHOLE_SETS[name].items():
        fixtures.write(tmp_path / file, data)
    spec = catalog.spec(name)
    listed = spec.images(tmp_path, make_params().data)
    filled = {column for column in listing.COLUMNS if listed[column].notna().all()} - {"path", "noisy"}
    assert filled == set(spec.listed)
    assert {column for column in listing.COLUMNS if listed[column].notna().any()} - {"path", "noisy"} == filled
    assert set(listed["part"].dropna()) == set(spec.parts)
    assert listed["noisy"].notna().all() == spec.pairs


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of one's own images, with subfolders and odd names."""
    folder = tmp_path / "my images"
    for seed, name in enumerate(("a.png", "Ünïcode b.PNG", "walk/1.jpg", "walk/2.jpg", "c.tif", "d.png", "e.png")):
        save(folder / name, picture(seed))
    save(folder / "gray.png", picture(9, channels=1))
    (folder / "notes.txt").write_text("no image")
    return folder


def test_a_folder_of_ones_own_images(run_stages: Run, own: Path) -> None:
    run_stages(study("folder", data={"path": str(own)}), "download", "validate", "prepare")
    table = pd.read_parquet("data/validated/manifest.parquet")
    assert len(table) == 8
    assert table.set_index("path")["source"]["walk/1.jpg"] == table.set_index("path")["source"]["walk/2.jpg"]
    store = opened()
    assert store.channels == 3
    assert sum(store.counts.values()) == 8 * 64


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("", ParamsError, "data.path is empty"),
        ("nowhere", DataError, "nowhere is no folder"),
        ("empty", DataError, "empty holds no image"),
    ],
)
def test_a_folder_that_is_none_is_refused(
    run_stages: Run, tmp_path: Path, path: str, error: type[Exception], words: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(error, match=words):
        run_stages(study("folder", data={"path": path}), "download")
    assert not Path("data/raw/folder").exists()


@pytest.mark.parametrize(("name", "reason"), [(b"ab::c.png", "holds '::'"), (b"\xe9t\xe9.png", "is not UTF-8")])
def test_names_that_cannot_be_written_down_are_refused(
    run_stages: Run, tmp_path: Path, name: bytes, reason: str
) -> None:
    save(tmp_path / "images" / "good.png", picture(0))
    (tmp_path / "images" / "good.png").rename(tmp_path / "images" / os.fsdecode(name))
    with pytest.raises(DataError, match=reason):
        run_stages(study("folder", data={"path": str(tmp_path / "images")}), "download")


def test_names_are_the_same_however_their_accents_are_written(run_stages: Run, tmp_path: Path) -> None:
    for seed, name in enumerate(("caf\u00e9", "猫", "\u0401\u0436", "d")):
        # As macOS writes it: the accent behind its letter.
        save(tmp_path / "images" / f"{unicodedata.normalize('NFD', name)}.png", picture(seed))
    split = {"val": ["\u0415\u0308\u0436"], "test": ["caf\u00e9", "猫"]}
    made = study("folder", data={"path": str(tmp_path / "images")}, prepare={"crops": 2, "split": split})
    run_stages(made, "download", "validate", "prepare")
    assert {image.name for image in opened().photographs()} == {"caf\u00e9", "猫"}


def test_no_image_is_laid_over_another_where_case_does_not_count(
    run_stages: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("A.png", "a.png")):
        save(tmp_path / "images" / name, picture(seed))
    there = Path.exists
    # As on a file system that ignores case.
    monkeypatch.setattr(Path, "exists", lambda path: there(path) or there(path.with_name(path.name.capitalize())))
    with pytest.raises(DataError, match=r"takes a\.png in .* for another image"):
        run_stages(study("folder", data={"path": str(tmp_path / "images")}), "download")


def test_ones_own_pairs(run_stages: Run, tmp_path: Path) -> None:
    for seed in range(8):
        clean = scene(seed)
        save(tmp_path / "pairs" / "clean" / f"{seed}.png", eight(clean))
        save(tmp_path / "pairs" / "noisy" / f"{seed}.jpg", eight(noisy(clean, seed)))
    made = study("pairs", data={"path": str(tmp_path / "pairs")}, prepare={"crops": 3})
    run_stages(made, "download", "validate", "prepare")
    assert sum(opened().counts.values()) == 24
    (Path("data/raw/pairs/noisy") / "3.jpg").unlink()
    with pytest.raises(DataError, match=r"noisy/3\.jpg is missing; run: dvc repro -f -s download"):
        validate.run(Params.model_validate(made))
    with pytest.raises(ValidationFailed, match=r"every image has its partner, by name, not so in clean/3\.png"):
        run_stages(made, "validate")


@pytest.mark.parametrize(
    ("name", "words"), [("decodes", "without 'decodes' nothing can be prepared"), ("flatt", "did you mean 'flat'")]
)
def test_what_no_study_can_do_without_cannot_be_allowed(run_stages: Run, own: Path, name: str, words: str) -> None:
    (own / "broken.png").write_bytes(b"")
    made = study("folder", data={"path": str(own)}, validate={"allow": [name]})
    with pytest.raises(ParamsError, match=words):
        run_stages(made, "download", "validate")


def test_a_weak_expectation_can_be_allowed_and_is_still_reported(
    run_stages: Run, own: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(own / "gray wall.png", np.full((96, 96, 3), 90, np.uint8))
    with caplog.at_level("WARNING", "degrain"):
        run_stages(study("folder", data={"path": str(own)}, validate={"allow": ["flat"]}), "download", "validate")
    table = pd.read_parquet("data/validated/manifest.parquet")
    assert not table["quarantined"].any()
    assert "allowed: expected standard deviation of at least 2 levels, not so in gray wall.png" in caplog.text


def test_the_frames_of_a_burst_may_share_one_clean_picture(run_stages: Run, tmp_path: Path) -> None:
    for seed in range(6):
        clean = scene(seed)
        for frame in range(3):
            save(tmp_path / "pairs" / "clean" / f"s{seed}" / f"{frame}.png", eight(clean))
            save(tmp_path / "pairs" / "noisy" / f"s{seed}" / f"{frame}.png", eight(noisy(clean, 10 * seed + frame)))
    made = study("pairs", data={"path": str(tmp_path / "pairs")}, prepare={"crops": 3})
    run_stages(made, "download", "validate", "prepare")
    store = opened()
    assert sum(store.counts.values()) == 6 * 3 * 3
    assert store.split("test").index.groupby("source", observed=True).size().tolist() == [9]


def test_camera_raw_files_become_linear_light(run_stages: Run, tmp_path: Path) -> None:
    for seed in range(6):
        values = np.repeat(np.repeat(scene(seed, 96, 1)[..., 0], 2, 0), 2, 1)
        mosaic = np.rint(512 + values * (15000 - 512)).astype(np.uint16)
        fixtures.write(tmp_path / "raw" / f"{seed}.dng", fixtures.dng(mosaic, black=(512,), white=15000))
    for mode, channels, side in (("linear", 3, 192), ("bayer", 4, 96)):
        change = {"data": {"path": str(tmp_path / "raw"), "raw": mode}, "prepare": {"crops": 5}}
        run_stages(study("camera-raw", **change), "download", "validate", "prepare")
        store = opened()
        assert (store.channels, store.bits) == (channels, 16)
        table = pd.read_parquet("data/validated/manifest.parquet")
        assert table["height"].between(side - 16, side).all()
        assert set(table["camera"]) == {"Degrain Test camera"}
        assert set(table["iso"]) == {800}
        assert sum(store.counts.values()) == 30


def test_noise_can_be_left_to_the_pairs_only_where_there_are_some(run_stages: Run, own: Path) -> None:
    made = study("folder", data={"path": str(own)}, prepare={"noise": Whole({"kind": "real"})})
    with pytest.raises(DataError, match="has no noisy partners"):
        run_stages(made, "download", "validate", "prepare")
