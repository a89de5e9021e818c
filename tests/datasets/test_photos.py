"""The embedded photographs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from degrain import files
from degrain.datasets import catalog, photos
from degrain.errors import DataError


def test_the_photographs_arrive_as_published_with_their_origin(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    photos.download(folder)
    source = json.loads((folder / "source.json").read_text())
    assert len(source["images"]) == 9
    for image in source["images"]:
        assert files.sha256(folder / image["file"]) == image["sha256"]
        assert (folder / image["file"]).stat().st_size == image["bytes"]
        assert image["licence"]


def test_downloading_again_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        photos.download(tmp_path / name)
    assert (tmp_path / "one" / "source.json").read_bytes() == (tmp_path / "two" / "source.json").read_bytes()


def test_other_bytes_than_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"not the photograph")
    with pytest.raises(DataError, match="not the published image"):
        photos._copy(tmp_path / "x.png", tmp_path / "y.png", photos.PHOTOGRAPHS[0].sha256, "0.0")
    with pytest.raises(DataError, match=r"does not hold z\.png"):
        photos._copy(tmp_path / "z.png", tmp_path / "y.png", photos.PHOTOGRAPHS[0].sha256, "0.0")


def test_two_views_of_one_scene_are_one_source(tmp_path: Path) -> None:
    listing = catalog.spec("photos").images(tmp_path)
    both = listing[listing["path"].str.startswith("motorcycle")]
    assert len(both) == 2
    assert both["source"].nunique() == 1


def test_a_missing_download_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run: degrain download"):
        photos.images(tmp_path / "nothing")
