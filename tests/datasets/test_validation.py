"""Manifest and expectations: what is wrong with an image is found and the image is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from degrain.datasets import expectations, manifest
from degrain.params import Params
from tests.conftest import picture, save

GOOD = ["one.png", "two.jpg"]


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
    (folder / "twin.png").write_bytes((folder / "one.png").read_bytes())
    whole = (folder / "one.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("not an image")
    return folder


@pytest.fixture(scope="module")
def table(raw: Path) -> pd.DataFrame:
    names = [*sorted(path.name for path in raw.iterdir()), "gone.png"]
    return manifest.build(raw, pd.DataFrame({"path": names, "source": names}))


def test_the_manifest_describes_each_image(raw: Path, table: pd.DataFrame) -> None:
    row = table.set_index("path").loc["one.png"]
    pixels = picture(0)
    assert (row["width"], row["height"], row["channels"], row["dtype"]) == (128, 96, 3, "uint8")
    assert row["mean"] == pytest.approx(pixels.mean())
    assert row["std"] == pytest.approx(pixels.std())
    assert row["saturated"] == pytest.approx(np.mean((pixels == 0) | (pixels == 255)))
    assert pd.isna(row["error"])


def test_the_manifest_gives_the_reason_where_an_image_does_not_decode(table: pd.DataFrame) -> None:
    errors = table.set_index("path")["error"].dropna()
    assert sorted(errors.index) == ["cut.png", "gone.png", "text.png"]
    assert "damaged" in errors["cut.png"]
    assert "not a PNG" in errors["text.png"]
    assert "does not exist" in errors["gone.png"]


def test_the_manifest_is_the_same_wherever_the_data_lies(raw: Path, tmp_path: Path, table: pd.DataFrame) -> None:
    import shutil

    shutil.copytree(raw, tmp_path / "elsewhere")
    again = manifest.build(tmp_path / "elsewhere", table[["path", "source"]])
    pd.testing.assert_frame_equal(again, table)


def check(table: pd.DataFrame, params: Params, docs: Path) -> dict[str, Any]:
    results = expectations.run(table, params.validation, "test", docs)
    return {result["name"]: result for result in results}


def test_every_defect_is_found_and_its_image_named(
    table: pd.DataFrame, make_params: Callable[..., Params], tmp_path: Path
) -> None:
    results = check(table, make_params(validate={"min_images": 3}), tmp_path / "docs")
    found = {name: result["images"] for name, result in results.items() if not result["success"]}
    assert found == {
        "decodes": ["cut.png", "gone.png", "text.png"],
        "channels": ["gray.png"],
        "height": ["small.png"],
        "flat": ["flat.png"],
        "saturated": ["white.png"],
        "duplicate": ["one.png", "twin.png"],
    }
    assert (tmp_path / "docs" / "index.html").is_file()


def test_good_images_pass(table: pd.DataFrame, make_params: Callable[..., Params], tmp_path: Path) -> None:
    good = table[table["path"].isin(GOOD)].reset_index(drop=True)
    results = check(good, make_params(validate={"min_images": 2}), tmp_path / "docs")
    assert all(result["success"] for result in results.values())


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_images_fail_even_when_nothing_else_can(
    table: pd.DataFrame, make_params: Callable[..., Params], tmp_path: Path, rows: int
) -> None:
    few = table[table["path"].isin(GOOD)].head(rows).reset_index(drop=True)
    results = check(few, make_params(validate={"min_images": 2}), tmp_path / "docs")
    assert not results["count"]["success"]
