"""Splits: every image on one side, nothing of one source, scene or pixels on two."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from degrain.errors import DataError, ParamsError
from degrain.params.prepare import SplitParams
from degrain.patches import splits


def table(**columns: list[Any]) -> pd.DataFrame:
    frame = pd.DataFrame(columns).astype("string")
    frame["path"] = [f"{i}.png" for i in range(len(frame))]
    return frame


def sides(frame: pd.DataFrame, seed: int = 0, **params: Any) -> list[str]:
    return splits.assign(frame, SplitParams(**params), seed).of.tolist()


def test_named_sources_are_held_out_and_the_rest_trains() -> None:
    assert sides(table(source=list("abcda")), val=["b"], test=["c"]) == ["train", "val", "test", "train", "train"]


def test_shares_are_of_sources_and_depend_only_on_the_seed() -> None:
    names = [f"s{i}" for i in range(20)]
    first = dict(zip(names, sides(table(source=names), seed=5, val=0.2, test=0.1), strict=True))
    turned = dict(zip(names[::-1], sides(table(source=names[::-1]), seed=5, val=0.2, test=0.1), strict=True))
    assert first == turned
    assert first != dict(zip(names, sides(table(source=names), seed=6, val=0.2, test=0.1), strict=True))
    assert [list(first.values()).count(s) for s in splits.SPLITS] == [14, 4, 2]


def test_the_published_part_is_held_out_and_val_is_a_share_of_the_rest() -> None:
    frame = table(source=[f"s{i}" for i in range(20)], part=["train"] * 14 + ["test"] * 6)
    found = sides(frame, val=0.1, test="published")
    assert found[14:] == ["test"] * 6
    assert sorted(found[:14]) == ["train"] * 12 + ["val"] * 2


def test_half_of_the_test_side_is_for_choosing() -> None:
    frame = table(source=[f"s{i}" for i in range(21)], part=["train"] * 14 + ["test"] * 7)
    found = sides(frame, val="half_of_test", test="published")
    assert found[:14] == ["train"] * 14
    assert sorted(found[14:]) == ["test"] * 4 + ["val"] * 3
    assert found != sides(frame, seed=1, val="half_of_test", test="published")
    assert found == sides(frame, val="half_of_test", test="published")
    shared = sides(table(source=list("abcdefgh")), val="half_of_test", test=0.5)
    assert sorted(shared) == ["test"] * 2 + ["train"] * 4 + ["val"] * 2


def test_whole_scenes_or_cameras_are_held_out() -> None:
    frame = table(source=list("abcdef"), scene=list("112233"), camera=list("xyxyxy"))
    assert sides(frame, by="scene", val=["2"], test=["3"]) == ["train", "train", "val", "val", "test", "test"]
    frame = table(source=list("abcdef"), camera=list("xxyyzz"))
    assert sides(frame, by="camera", val=["y"], test=["z"]) == ["train", "train", "val", "val", "test", "test"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"source": ["a", "b", "c", "c"], "scene": ["1", "2", "3", "1"]}, "scene '1' would be on two sides"),
        ({"source": list("abcd"), "sha256": ["p", "q", "p", "r"]}, "the same pixels would be on two sides"),
        ({"source": list("abcd"), "sha256": list("pqrs"), "noisy_sha256": list("pqqr")}, "the same pixels"),
    ],
)
def test_what_would_be_on_two_sides_is_refused_and_named(columns: dict[str, list[Any]], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        sides(table(**columns), val=["b"], test=["c"])
    assert "overlap: drop" in str(caught.value)
    assert ".png (test)" in str(caught.value)


def test_a_source_on_two_published_sides_is_refused() -> None:
    frame = table(source=["a", "b", "c", "a"], part=["train", "train", "test", "test"])
    with pytest.raises(DataError, match=r"source 'a' would be on two sides: 0\.png \(train\), 3\.png \(test\)"):
        sides(frame, val=["b"], test="published")


def test_dropping_keeps_the_test_side_whole_and_then_val() -> None:
    frame = table(source=list("abcdef"), sha256=["p", "q", "r", "p", "q", "s"])
    assert sides(frame, val=["b"], test=["d"], overlap="drop") == [
        "dropped",
        "val",
        "train",
        "test",
        "dropped",
        "train",
    ]
    frame = table(source=list("abcd"), sha256=["p", "q", "q", "r"])
    with pytest.raises(DataError, match=r"the val split is empty.*1 images dropped"):
        sides(frame, val=["b"], test=["c"], overlap="drop")


def test_further_columns_can_be_kept_apart() -> None:
    frame = table(source=list("abcdef"), scene=list("123456"), camera=list("xyxyzw"))
    given = {"by": "scene", "val": ["2"], "test": ["3"]}
    assert sides(frame, **given) == ["train", "val", "test", "train", "train", "train"]
    with pytest.raises(DataError, match="camera"):
        sides(frame, **given, apart=["camera"])
    dropped = ["dropped", "val", "test", "dropped", "train", "train"]
    assert sides(frame, **given, apart=["camera"], overlap="drop") == dropped


def test_an_overlap_is_named_where_some_values_are_missing() -> None:
    frame = table(source=list("abcd"), camera=["x", "x", None, None])
    with pytest.raises(DataError, match="camera 'x' would be on two sides"):
        sides(frame, val=["a"], test=["c"], apart=["camera"])


def test_a_leaky_split_happens_only_when_asked_for_and_is_counted() -> None:
    frame = table(source=list("aabb"), part=["train", "test", "train", "val"])
    published = SplitParams(val="published", test="published", published_leaky=True)
    found = splits.assign(frame, published, seed=0)
    assert found.of.tolist() == ["train", "test", "train", "val"]
    assert found.leaks == {"source": 2}
    with pytest.raises(DataError, match="on two sides"):
        sides(frame, val="published", test="published")


def test_copies_are_spread_by_their_shares() -> None:
    params = SplitParams(by="copy", val=0.1, test=0.2, published_leaky=True)
    found = splits.assign_copies(200, 100, params, seed=1)
    assert found.shape == (200, 100)
    for side, share in (("val", 0.1), ("test", 0.2), ("train", 0.7)):
        assert abs(np.mean(found == side) - share) < 5 * (share * (1 - share) / 20_000) ** 0.5


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"by": "source", "val": ["cofee"], "test": ["b"]}, "did you mean 'coffee'"),
        ({"by": "camera", "val": 0.1, "test": 0.1}, "have no camera"),
        ({"val": "published", "test": ["b"]}, "has no val part"),
    ],
)
def test_what_is_not_there_is_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ParamsError, match=words):
        sides(table(source=["coffee", "b", "c"]), **params)


def test_an_empty_side_is_refused() -> None:
    with pytest.raises(DataError, match="the train split is empty"):
        sides(table(source=["a", "b"]), val=["a"], test=["b"])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"by": "copy", "val": 0.1, "test": 0.1}, "say published_leaky"),
        ({"by": "copy", "val": ["a"], "test": 0.1, "published_leaky": True}, "needs shares"),
        ({"val": ["a"], "test": ["a"]}, "cannot be in val and in test"),
        ({"val": 1.5, "test": 0.1}, "less than 1"),
        ({"val": "half_of_test", "test": ["a"]}, "needs a test side of several names"),
    ],
)
def test_an_impossible_split_is_no_parameter(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SplitParams(**params)


def units(frame: pd.DataFrame, **params: Any) -> list[str]:
    return splits.units(frame, SplitParams(**{"val": 0.2, "test": 0.2, **params})).tolist()


def test_a_source_is_a_unit_of_evidence_unless_it_is_of_a_scene() -> None:
    frame = table(source=list("aabbcc"), scene=[None] * 6, camera=list("xyxyzz"))
    assert units(frame) == units(frame, by="camera") == list("aabbcc")
    frame = table(source=list("aabbcc"), scene=list("111122"), camera=list("xyxyzz"))
    assert units(frame, by="scene") == list("111122")
    assert units(frame) == units(frame, by="camera") == units(frame, apart=["camera"]) == list("aaaacc")


def test_copies_of_a_picture_are_one_unit_and_so_is_what_chains_join() -> None:
    frame = table(source=list("abcdef"), sha256=list("112345"), near_copies=[None, "n", "n", None, None, None])
    assert units(frame) == list("aaadef")


def test_units_of_leaky_splits_are_no_smaller_than_sources_and_scenes() -> None:
    frame = table(source=list("abcd"), scene=list("1122"), instance=list("wxyz"))
    assert units(frame, by="instance", published_leaky=True) == list("aacc")
    assert units(table(source=list("aab")), by="copy", published_leaky=True) == list("aab")


def test_a_publishers_part_is_no_unit() -> None:
    frame = table(source=list("abcd"), part=["train", "train", "test", "test"])
    assert units(frame, by="part", val=["test"]) == list("abcd")


def test_no_unit_is_on_two_sides_and_every_value_is_in_one_unit() -> None:
    draw = np.random.default_rng(0)
    for _ in range(20):
        columns = {name: [str(n) if n else None for n in draw.integers(0, 30, 40)] for name in ("scene", "near_copies")}
        frame = table(source=[str(n) for n in draw.integers(0, 35, 40)], sha256=[str(i) for i in range(40)], **columns)
        found = pd.Series(units(frame))
        for name in ("source", "scene", "near_copies"):
            assert found.groupby(frame[name]).nunique().max() == 1
        # Apart from that nothing is joined: groups are those that repeated merging finds.
        merged = list(range(40))
        for _ in range(12):
            for name in ("source", "scene", "near_copies"):
                least = pd.Series(merged).groupby(frame[name]).transform("min")
                merged = least.fillna(pd.Series(merged)).astype(int).tolist()
        assert found.nunique() == len(set(merged))
