"""Manifest and expectations: what is wrong with an image or a pair is found, and the image is named."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from degrain.ingest.datasets import catalog, expectations, listing, manifest
from degrain.ingest.datasets.spec import DatasetSpec, Expected
from degrain.ingest.formats.containers import Containers
from degrain.params.study import Params
from tests.conftest import picture, save

GOOD = ["one.png", "two.jpg"]


def dataset(pairs: bool = False, **expected: Any) -> DatasetSpec:
    """A catalog entry with the expectations under test."""
    limits = {"channels": (3,), "side": (64, 2000)} | expected
    return DatasetSpec("a", "b", "c", "d", lambda *_: pd.DataFrame(), Expected(**limits), "by source", pairs=pairs)


def build(folder: Path, listed: pd.DataFrame) -> pd.DataFrame:
    with Containers(folder) as containers:
        return manifest.build(containers, listed)[0]


def check(
    table: pd.DataFrame,
    params: Params,
    docs: Path,
    spec: DatasetSpec,
    listed: pd.DataFrame | None = None,
    run_name: str = "run",
) -> dict[str, Any]:
    groups = expectations.counts(
        table if listed is None else listed, spec.expected, params.validation, params.data.labels
    )
    results = expectations.run("test", spec, table, groups, params.validation, docs, run_name)
    return {result.name: result for result in results}


def failing(results: dict[str, Any]) -> dict[str, list[str]]:
    return {name: result.images for name, result in results.items() if not result.success}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good images and one for each thing that can be wrong."""
    folder = tmp_path_factory.mktemp("raw")
    for seed, name in enumerate(GOOD):
        save(folder / name, picture(seed))
    save(folder / "gray.png", picture(2, channels=1))
    save(folder / "small.png", picture(3, height=40))
    save(folder / "flat.png", np.full((80, 80, 3), 90, np.uint8))
    save(folder / "white.png", np.where(picture(4) > 70, 255, picture(4)).astype(np.uint8))
    save(folder / "twin.tif", picture(0))  # other bytes, the same pixels
    whole = (folder / "one.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("not an image")
    return folder


@pytest.fixture(scope="module")
def table(raw: Path) -> pd.DataFrame:
    names = [*sorted(path.name for path in raw.iterdir()), "gone.png"]
    return build(raw, listing.table({"path": name, "source": name} for name in names))


@pytest.mark.parametrize("run_name", ["1274606441775704", "20261130", "12e4606441775704"])
def test_a_digest_that_reads_like_a_date_names_a_run(
    table: pd.DataFrame, make_params: Callable[..., Params], tmp_path: Path, run_name: str
) -> None:
    good = table[table["path"].isin(GOOD)]
    assert check(good, make_params(), tmp_path, dataset(), run_name=run_name)["decodes"].success


@pytest.mark.parametrize("labels", [[], ["happy"]])
@pytest.mark.parametrize("name", catalog.DATASETS)
def test_the_names_of_expectations_are_those_of_the_rules(
    make_params: Callable[..., Params], name: str, labels: list[str]
) -> None:
    rules = gx_expectations()
    spec, params = catalog.spec(name), make_params().validation
    there = dict.fromkeys([*spec.expected.count_by, "label"], "x")
    groups = expectations.counts(listing.table([{"path": "a", **there}]), spec.expected, params, labels)
    manifest = pd.DataFrame({"light": ["srgb"], "highest": [1.0 if "uint16" in spec.expected.dtypes else None]})
    limits = expectations.Limits.of(spec.expected, params)
    made = [
        *expectations._group_rules(rules, params, groups),
        *expectations._image_rules(rules, limits, spec.pairs),
        *expectations._meaning_rules(rules, manifest),
    ]
    assert expectations.names(spec, labels) == [rule[0] for rule in made]


def gx_expectations() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own dependencies'
        import great_expectations

    return great_expectations.expectations


def test_the_manifest_describes_each_image(table: pd.DataFrame) -> None:
    row = table.set_index("path").loc["one.png"]
    pixels = picture(0)
    assert (row["width"], row["height"], row["channels"], row["dtype"]) == (128, 96, 3, "uint8")
    assert row["mean"] == pytest.approx(pixels.mean())
    assert row["std"] == pytest.approx(pixels.std())
    assert row["saturated"] == pytest.approx(np.mean((pixels == 0) | (pixels == 255)))
    assert row["sha256"] == hashlib.sha256(b"(96, 128, 3) 1" + pixels.tobytes()).hexdigest()
    assert pd.isna(row["error"])


def test_statistics_are_in_eight_bit_levels_whatever_the_depth(tmp_path: Path) -> None:
    deep = picture(5, channels=1).astype(np.uint16) * np.uint16(257)
    save(tmp_path / "deep.png", deep)
    row = build(tmp_path, listing.table([{"path": "deep.png", "source": "deep"}])).iloc[0]
    assert row["dtype"] == "uint16"
    assert row["mean"] == pytest.approx(picture(5, channels=1).mean())
    assert row["std"] == pytest.approx(picture(5, channels=1).std())


def test_the_manifest_gives_the_reason_where_an_image_does_not_decode(table: pd.DataFrame) -> None:
    errors = table.set_index("path")["error"].dropna()
    assert sorted(errors.index) == ["cut.png", "gone.png", "text.png"]
    assert "damaged" in errors["cut.png"]
    assert "not an image" in errors["text.png"]
    assert "does not exist" in errors["gone.png"]


def test_the_manifest_is_the_same_wherever_the_data_lies(raw: Path, tmp_path: Path, table: pd.DataFrame) -> None:
    import shutil

    shutil.copytree(raw, tmp_path / "elsewhere")
    again = build(tmp_path / "elsewhere", table[list(listing.COLUMNS)])
    pd.testing.assert_frame_equal(again, table)


def test_every_defect_is_found_and_its_image_named(
    table: pd.DataFrame, make_params: Callable[..., Params], tmp_path: Path
) -> None:
    results = check(table, make_params(validate={"min_images": 3}), tmp_path / "docs", dataset())
    assert failing(results) == {
        "decodes": ["cut.png", "gone.png", "text.png"],
        "channels": ["gray.png"],
        "height": ["small.png"],
        "flat": ["flat.png"],
        "saturated": ["white.png"],
        "duplicate": ["twin.tif"],
    }
    assert (tmp_path / "docs" / "index.html").is_file()


def test_good_images_pass(table: pd.DataFrame, make_params: Callable[..., Params], tmp_path: Path) -> None:
    good = table[table["path"].isin(GOOD)].reset_index(drop=True)
    assert failing(check(good, make_params(validate={"min_images": 2}), tmp_path / "docs", dataset())) == {}


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_images_fail_even_when_nothing_else_can(
    table: pd.DataFrame, make_params: Callable[..., Params], tmp_path: Path, rows: int
) -> None:
    few = table[table["path"].isin(GOOD)].head(rows).reset_index(drop=True)
    assert "count" in failing(check(few, make_params(validate={"min_images": 2}), tmp_path / "docs", dataset()))


def test_a_study_may_ask_for_more_or_less_than_the_catalog(
    table: pd.DataFrame, make_params: Callable[..., Params], tmp_path: Path
) -> None:
    wide = {"channels": [1, 3], "min_side": 10, "min_std": 0.0, "max_saturated": 1.0, "min_images": 1}
    assert set(failing(check(table, make_params(validate=wide), tmp_path / "docs", dataset()))) == {
        "decodes",
        "duplicate",
    }


@pytest.mark.parametrize(
    ("there", "partial", "wrong"),
    [
        ({"a": 2, "b": 1}, False, {}),
        ({"a": 1, "b": 1}, False, {"fewer": ["a"]}),
        ({"a": 2}, False, {"fewer": ["b"]}),
        ({"a": 2}, True, {}),
        ({"a": 3, "b": 1}, True, {"more": ["a"]}),
        ({"a": 2, "b": 1, "c": 1}, False, {"more": ["c"]}),
    ],
)
def test_classes_are_counted(
    table: pd.DataFrame,
    make_params: Callable[..., Params],
    tmp_path: Path,
    there: dict[str, int],
    partial: bool,
    wrong: dict[str, list[str]],
) -> None:
    listed = listing.table({"path": f"{c}{i}", "label": c} for c, count in there.items() for i in range(count))
    good = table[table["path"].isin(GOOD)].reset_index(drop=True)
    spec = dataset(counts={"a": 2, "b": 1}, count_by=("label",))
    params = make_params(validate={"partial": partial, "min_images": 1})
    assert failing(check(good, params, tmp_path / "docs", spec, listed)) == wrong


def noisy(clean: np.ndarray, seed: int, sigma: float = 20) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.clip(clean + sigma * draw.standard_normal(clean.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Good pairs of the instances a and b, and one pair for each thing that can be wrong."""
    folder = tmp_path_factory.mktemp("pairs")
    scenes = {name: cv2.GaussianBlur(picture(seed, 128, 128), (0, 0), 3) for seed, name in enumerate("abcdefh")}
    images = {
        "a1": (scenes["a"], noisy(scenes["a"], 1)),
        "a2": (scenes["a"], noisy(scenes["a"], 2)),
        "b1": (scenes["b"], noisy(scenes["b"], 3)),
        # The clean image of instance a beside the noisy one of another scene.
        "g1": (scenes["a"], noisy(scenes["c"], 4)),
        "d1": (scenes["d"], noisy(scenes["e"], 5)),  # another scene
        "e1": (scenes["e"], noisy(scenes["e"], 6)[:, :100]),  # another size
        "f1": (scenes["f"], noisy(scenes["f"], 7, 150)),  # hardly an image
        "h1": (scenes["h"], scenes["h"]),  # no noise at all
    }
    names = []
    for name, both in images.items():
        for side, pixels in zip(("clean", "noisy"), both, strict=True):
            save(folder / side / f"{name}.png", pixels)
            says = {"source": name[0], "instance": name[0], "scene": name}
            names.append((f"{side}/{name}.png", side == "noisy", says))
    save(folder / "clean" / "k1.png", picture(9))
    names.append(("clean/k1.png", False, {"source": "k", "instance": "k", "scene": "k1"}))
    return build(folder, listing.pair(names))


def test_every_defect_of_a_pair_is_found(
    pairs: pd.DataFrame, make_params: Callable[..., Params], tmp_path: Path
) -> None:
    params = make_params(validate={"min_images": 1, "psnr": [12, 60]})
    assert failing(check(pairs, params, tmp_path / "docs", dataset(pairs=True))) == {
        "paired": ["clean/k1.png"],
        "same_size": ["clean/e1.png"],
        "psnr": ["clean/d1.png", "clean/f1.png", "clean/g1.png", "clean/h1.png"],
        "same_scene": ["clean/d1.png", "clean/g1.png"],
        "own_clean": ["clean/g1.png"],
    }


def test_the_manifest_measures_pairs(pairs: pd.DataFrame) -> None:
    rows = pairs.set_index("path")
    clean = cv2.GaussianBlur(picture(0, 128, 128), (0, 0), 3)
    error = np.mean((noisy(clean, 1).astype(float) - clean) ** 2)
    assert rows["psnr"]["clean/a1.png"] == pytest.approx(10 * np.log10(255**2 / error))
    assert rows["correlation"]["clean/a1.png"] > 0.99
    assert rows["correlation"]["clean/d1.png"] < 0.8
    assert pd.isna(rows["shared_with"]["clean/a1.png"])
    assert rows["shared_with"]["clean/g1.png"] == "a"


def test_two_frames_with_one_clean_image_are_no_duplicates(pairs: pd.DataFrame) -> None:
    assert pairs.set_index("path")["duplicate_of"].isna().all()


def test_correlation_sees_through_noise_and_tells_flat_images() -> None:
    flat = np.full((64, 64, 3), 7, np.uint8)
    scene = cv2.GaussianBlur(picture(3, 64, 64), (0, 0), 3)
    assert manifest.correlation(scene, noisy(scene, 0, 60)) > 0.95
    assert manifest.correlation(scene, 255 - scene) == pytest.approx(-1, abs=0.01)
    assert manifest.correlation(scene, flat) == 0
    assert np.isnan(manifest.correlation(flat, flat))


def test_the_same_picture_in_another_format_is_a_duplicate(tmp_path: Path) -> None:
    gray = picture(0, channels=1)
    save(tmp_path / "a.png", gray)
    save(tmp_path / "b.png", np.repeat(gray, 3, axis=2))
    save(tmp_path / "c.png", gray.astype(np.uint16) * np.uint16(257))
    save(tmp_path / "d.png", picture(1))
    names = [f"{name}.png" for name in "abcd"]
    table = build(tmp_path, listing.table({"path": name, "source": name} for name in names))
    assert table["duplicate_of"].fillna("").tolist() == ["", "a.png", "a.png", ""]


def test_of_two_pairs_with_one_noisy_image_the_one_that_fits_stays(tmp_path: Path) -> None:
    scenes = [cv2.GaussianBlur(picture(seed, 128, 128), (0, 0), 3) for seed in range(2)]
    shot = noisy(scenes[1], 0)
    for name, clean in (("a", scenes[0]), ("b", scenes[1])):
        save(tmp_path / "clean" / f"{name}.png", clean)
        save(tmp_path / "noisy" / f"{name}.png", shot)
    names = [(f"{side}/{n}.png", side == "noisy", {"source": n}) for side in ("clean", "noisy") for n in "ab"]
    table = build(tmp_path, listing.pair(names)).set_index("path")
    assert table["duplicate_of"].dropna().to_dict() == {"clean/a.png": "clean/b.png"}
