"""What has changed between two manifests."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from degrain.ingest.datasets import drift
from tests.conftest import manifest_of, picture, save


def manifest(folder: Path, seeds: dict[str, int]) -> pd.DataFrame:
    for name, seed in seeds.items():
        save(folder / f"{name}.png", picture(seed))
    return manifest_of(folder)


def test_the_same_images_have_not_drifted(tmp_path: Path) -> None:
    before = manifest(tmp_path, {"a": 1, "b": 2})
    found = drift.compare(before, before)
    assert found.is_none
    assert found.told() == "2 images, the same as before"
    assert set(found.statistics["KS distance"]) == {"0.000"}


def test_images_that_came_went_and_changed_are_named(tmp_path: Path) -> None:
    before = manifest(tmp_path / "before", {"a": 1, "b": 2, "c": 3})
    after = manifest(tmp_path / "after", {"a": 1, "b": 9, "d": 4, "e": 5})
    found = drift.compare(before, after)
    assert (found.added, found.removed, found.changed) == (["d.png", "e.png"], ["c.png"], ["b.png"])
    assert not found.is_none
    assert found.told() == "3 images before, 4 now: 2 added, 1 removed, 1 changed"
    page = found.markdown()
    assert "Added: `d.png`, `e.png`" in page
    assert "| all | 3 | 4 |" in page


def test_many_images_are_counted_and_some_named(tmp_path: Path) -> None:
    before = manifest(tmp_path / "before", {"a": 1})
    after = manifest(tmp_path / "after", {f"n{number}": number for number in range(8)})
    assert "`n4.png` and 3 more" in drift.compare(before, after).markdown()


def test_images_of_each_part_and_label_are_counted(tmp_path: Path) -> None:
    before = manifest(tmp_path, {"a": 1, "b": 2, "c": 3})
    after = before.assign(part=["train", "train", "test"], label=["cat", "dog", "cat"])
    groups = drift.compare(before, after).groups.set_index("group")
    assert dict(groups["after"]) == {"all": 0, "test/cat": 1, "train/cat": 1, "train/dog": 1}
    assert dict(groups["before"]) == {"all": 3, "test/cat": 0, "train/cat": 0, "train/dog": 0}
