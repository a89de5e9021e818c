"""Listings: what names say, pairs by name, seeded parts."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from degrain.errors import DataError, ParamsError
from degrain.ingest.datasets import listing
from degrain.params.data import DataParams


def select(listed: pd.DataFrame, **params: Any) -> pd.DataFrame:
    return listing.select(listed, DataParams(dataset="x", **params))


@pytest.fixture
def digits() -> pd.DataFrame:
    """600 images for training and 100 for testing, of ten classes each."""
    return listing.table(
        {"path": f"{part}/{i}", "source": f"{part}/{i}", "label": str(i % 10), "part": part}
        for part, count in (("train", 600), ("test", 100))
        for i in range(count)
    )


def test_pairs_are_matched_by_name_whatever_their_order() -> None:
    names = [("n/2", True, "2"), ("c/1", False, "1"), ("c/2", False, "2"), ("n/1", True, "1")]
    pairs = listing.pair((locator, noisy, {"source": key}) for locator, noisy, key in names)
    assert dict(zip(pairs["path"], pairs["noisy"], strict=True)) == {"c/1": "n/1", "c/2": "n/2"}
    assert pairs["unpaired"].isna().all()


def test_an_image_without_partner_is_marked_and_never_paired_with_another() -> None:
    """Matching by sorted position would pair clean 2 with noisy 3 here."""
    names = [("c/1", False, "1"), ("n/1", True, "1"), ("c/2", False, "2"), ("n/3", True, "3")]
    pairs = listing.pair((locator, noisy, {"source": key}) for locator, noisy, key in names).set_index("path")
    assert pairs["noisy"].dropna().to_dict() == {"c/1": "n/1"}
    assert pairs["unpaired"].dropna().to_dict() == {"c/2": "clean", "n/3": "noisy"}


def test_two_images_under_one_name_are_refused() -> None:
    with pytest.raises(DataError, match=r"a\.jpg and a\.png are the same image"):
        listing.pair((name, False, {"source": "a"}) for name in ("a.png", "a.jpg"))


def test_an_archive_of_another_layout_is_refused() -> None:
    names = ["readme.txt", "b/c.png", "d.PNG", "e.tif", "f.nef"]
    words = r"x\.zip holds no image of the expected layout, but 4 images and 1 files of another"
    with pytest.raises(DataError, match=words):
        listing.matches(names, r"a/[^/]+", (".png",), "x.zip")


@pytest.mark.parametrize("name", ["a/x.jpg", "a/x.JPG", "a/x.jpeg", "a/x.JPEG", "a/x.Jpg", "a/X.jPeG"])
def test_the_case_of_a_suffix_does_not_matter(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "degrain"):
        (found,) = listing.matches([name], r"a/(?P<name>[^/]+)", (".jpg", ".jpeg"), "x.zip")
    assert (found[0], found["name"].lower()) == (name, "x")
    assert not caplog.messages


LEFT_OUT = {
    "another format": ("a/y.png", True),
    "a raw file": ("a/y.NEF", True),
    "deeper": ("a/b/y.jpg", True),
    "loose": ("y.jpg", True),
    "another folder": ("A/y.jpg", True),
    "a suffix that is none": ("a/yjpg", False),
    "text": ("a/y.txt", False),
    "metadata": ("a/meta.jpg", False),
}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_images_that_are_left_out_are_said(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    other, said = LEFT_OUT[kind]
    with caplog.at_level("WARNING", "degrain"):
        found = listing.matches(["a/x.jpg", other], r"a/[xy]", (".jpg",), "x.zip", beside="a/meta.*")
    assert [match[0] for match in found] == ["a/x.jpg"]
    assert caplog.messages == [f"x.zip: left out: 1 images of another layout, such as {other}"] * said


def test_of_many_images_that_are_left_out_three_are_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "degrain"):
        listing.matches(["a.png", *(f"{i}/b.png" for i in range(9))], r"a", (".png",), "x.zip")
    assert caplog.messages == ["x.zip: left out: 9 images of another layout, such as 0/b.png, 1/b.png, 2/b.png"]


def test_a_limit_draws_evenly_and_by_its_seed(digits: pd.DataFrame) -> None:
    part = select(digits, limit=70)
    assert len(part) == 70
    assert part["part"].value_counts().to_dict() == {"train": 60, "test": 10}
    assert set(part.groupby("part")["label"].nunique()) == {10}
    pd.testing.assert_frame_equal(part, select(digits, limit=70))
    assert set(part["path"]) != set(select(digits, limit=70, seed=1)["path"])
    assert set(part["path"]) <= set(digits["path"])
    assert select(digits, limit=10_000).equals(digits)


def test_a_smaller_limit_is_a_part_of_a_larger_one(digits: pd.DataFrame) -> None:
    assert set(select(digits, limit=20)["path"]) <= set(select(digits, limit=200)["path"])


def test_only_the_wanted_classes_are_kept(digits: pd.DataFrame) -> None:
    assert set(select(digits, labels=["3", "5"])["label"]) == {"3", "5"}
    with pytest.raises(ParamsError, match=r"data\.labels: no image has the label 'disgusted'; did you mean 'disgust'"):
        select(listing.table([{"path": "a", "label": "disgust"}]), labels=["disgusted"])


def test_only_images_with_the_wanted_values_are_kept() -> None:
    images = listing.table(
        [
            {"path": f"{camera}-{scene}", "camera": camera, "scene": scene}
            for camera in ("G4", "IP")
            for scene in ("1", "2", "3")
        ]
    )
    assert select(images, only={"camera": ["IP"], "scene": ["3", "1"]})["path"].tolist() == ["IP-1", "IP-3"]
    with pytest.raises(ParamsError, match=r"data\.only\.camera: no image has the camera 'iP'; did you mean 'IP'"):
        select(images, only={"camera": ["iP"]})
    with pytest.raises(ValidationError, match="colour"):
        select(images, only={"colour": ["red"]})


def test_a_listing_without_images_is_refused() -> None:
    for made in (listing.table, listing.pair):
        with pytest.raises(DataError, match="the data set holds no image"):
            made([])
