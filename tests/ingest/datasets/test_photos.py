"""The embedded photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from degrain import files
from degrain.errors import DataError
from degrain.ingest.datasets import photos
from degrain.params.study import Params


def test_the_photographs_arrive_as_published_with_their_origin(
    tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    assert photos.PHOTOS.download is not None
    records = photos.PHOTOS.download(tmp_path, make_params().data)
    assert len(records) == 9
    for record in records:
        assert files.sha256(tmp_path / record.file) == record.sha256
        assert (tmp_path / record.file).stat().st_size == record.bytes
        assert record.licence
        assert record.credit


def test_other_bytes_than_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"not the photograph")
    with pytest.raises(DataError, match="not the published image"):
        photos._copy(tmp_path / "x.png", tmp_path / "y.png", photos.PHOTOGRAPHS[0].sha256, "0.0")
    with pytest.raises(DataError, match=r"does not hold z\.png"):
        photos._copy(tmp_path / "z.png", tmp_path / "y.png", photos.PHOTOGRAPHS[0].sha256, "0.0")


def test_two_views_of_one_scene_are_one_source(tmp_path: Path, make_params: Callable[..., Params]) -> None:
    listed = photos.PHOTOS.images(tmp_path, make_params().data)
    both = listed[listed["path"].str.startswith("motorcycle")]
    assert len(both) == 2
    assert both["source"].nunique() == 1
