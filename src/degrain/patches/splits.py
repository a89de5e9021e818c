"""Holding out whole sources, scenes, cameras or parts, before anything is cut or copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from degrain.errors import DataError, ParamsError, nearest
from degrain.params.prepare import SplitParams
from degrain.randomness import generator

SPLITS = ("train", "val", "test")
DROPPED = "dropped"
# Columns of the manifest of which, whatever the study says, no value may be on two sides.
APART = ("source", "scene", "sha256", "noisy_sha256", "near_copies")


_WORDS = {
    "sha256": "the same pixels",
    "noisy_sha256": "the same pixels",
    "near_copies": "the same picture (encoded anew, resized or mirrored)",
}


@dataclass(frozen=True)
class Sides:
    """Which side each image is on.

    Attributes:
        of: One of `SPLITS`, or `DROPPED`, for each row of the manifest, in its order.
        leaks: Columns with values on two sides, and how many; only when the study asks for a leaky split.
    """

    of: np.ndarray
    leaks: dict[str, int]


def assign(manifest: pd.DataFrame, params: SplitParams, seed: int) -> Sides:
    """Put every image on one side.

    Args:
        manifest: One row per image, with the column params.by; of `APART`, what there is.
        params: Names, or shares of the values of a column, for val and test. A share takes at least one value.
        seed: Orders the values that shares are drawn from.

    Raises:
        ParamsError: A named value is not there, or the data set lacks the column.
        DataError: A split would be empty, or a source, scene or duplicate would be on two sides.
    """
    sides = _held_out(manifest, params, seed)
    leaks = {}
    for column in dict.fromkeys((*APART, params.by, *params.apart)):
        if column not in manifest:
            continue
        values = manifest[column]
        shared = _on_two_sides(values, sides)
        if not shared.any():
            continue
        if params.published_leaky:
            leaks[column] = int(values[shared].nunique())
        elif params.overlap == "drop":
            sides = np.where(shared, DROPPED, sides)
        else:
            raise DataError(_overlap(column, values[shared], manifest, sides))
    _refuse_empty(sides, params, manifest)
    return Sides(sides, leaks)


def units(manifest: pd.DataFrame, params: SplitParams) -> np.ndarray:
    """Say what each image is evidence of: images of the same thing are no independent evidence.

    So all images of one scene are one unit, and so are those that a chain of shared sources, scenes or duplicates
    joins. Cameras, labels and parts do not join: they say nothing of what was photographed.

    Args:
        manifest: As for `assign`.
        params: What is held out: units are named by it if it is the scene.

    Returns:
        For each row of the manifest, in its order, the name of its unit: of its scene, or else of its source.
    """
    columns = [name for name in APART if name in manifest]
    rows, values = [], []
    count = len(manifest)
    for name in columns:
        codes, found = pd.factorize(manifest[name])
        known = np.flatnonzero(codes >= 0)
        rows.append(known)
        values.append(codes[known] + count)
        count += len(found)
    ends = np.concatenate(rows), np.concatenate(values)
    joined = coo_array((np.ones(len(ends[0]), bool), ends), shape=(count, count))
    _, group = connected_components(joined, directed=False)
    by = params.by if params.by in columns else "source"
    return manifest[by].astype(str).groupby(group[: len(manifest)]).transform("first").to_numpy()


def assign_copies(images: int, copies: int, params: SplitParams, seed: int) -> np.ndarray:
    """Spread the copies of each image over the sides, as published and leaky.

    Args:
        images: How many there are.
        copies: Copies of each.
        params: Shares for val and test.
        seed: Draws them.

    Returns:
        One of `SPLITS` for each copy: shape (images, copies).
    """
    assert isinstance(params.val, float)  # noqa: S101  (SplitParams sees to it)
    assert isinstance(params.test, float)  # noqa: S101
    chance = generator(seed, "copy split").random((images, copies))
    return np.where(chance < params.test, "test", np.where(chance < params.test + params.val, "val", "train"))


def _held_out(manifest: pd.DataFrame, params: SplitParams, seed: int) -> np.ndarray:
    sides = np.full(len(manifest), "train", dtype=object)
    values = manifest.get(params.by, pd.Series(pd.NA, index=manifest.index)).astype("object")
    if values.isna().any():
        raise ParamsError(f"prepare.split.by: the images of this data set have no {params.by}")
    names = sorted(set(values))
    for split in ("val", "test"):
        wanted = getattr(params, split)
        if isinstance(wanted, list):
            for name in wanted:
                if name not in names:
                    raise ParamsError(
                        f"prepare.split.{split}: no image has the {params.by} {name!r}{nearest(name, names[:1000])}"
                    )
            sides[values.isin(wanted)] = split
        elif wanted == "published":
            published = manifest["part"] == split if "part" in manifest else pd.Series(False, manifest.index)
            if not published.any():
                raise ParamsError(f"prepare.split.{split}: the publisher of this data set has no {split} part")
            sides[published.fillna(value=False).to_numpy(bool)] = split
    for split in ("val", "test"):
        wanted = getattr(params, split)
        if isinstance(wanted, float):
            taken = set(values[sides != "train"])
            order = generator(seed, f"{split} split").permutation(len(names))
            free = [names[i] for i in order if names[i] not in taken]
            sides[values.isin(free[: max(1, round(wanted * len(names)))])] = split
    if params.val == "half_of_test":
        held_out = sorted(set(values[sides == "test"]))
        order = generator(seed, "val split").permutation(len(held_out))
        sides[values.isin([held_out[i] for i in order[: len(held_out) // 2]])] = "val"
    return sides


def _on_two_sides(values: pd.Series[Any], sides: np.ndarray) -> np.ndarray:
    """Mark the rows whose value is also on a side that comes before theirs: test first, then val, then train."""
    shared = np.zeros(len(sides), bool)
    known = values.notna().to_numpy()
    for split, before in (("val", ("test",)), ("train", ("test", "val"))):
        seen = set(values[known & np.isin(sides, before)])
        shared |= known & (sides == split) & values.isin(seen).to_numpy()
    return shared


def _overlap(column: str, shared: pd.Series[Any], manifest: pd.DataFrame, sides: np.ndarray) -> str:
    same = _WORDS.get(column, f"{column} {shared.iloc[0]!r}")
    rows = (manifest[column] == shared.iloc[0]).fillna(value=False).to_numpy(bool)
    examples = [f"{manifest['path'][rows & (sides == split)].iloc[0]} ({split})" for split in set(sides[rows])]
    return (
        f"{same} would be on two sides: {', '.join(sorted(examples))}"
        + (f", and {shared.nunique() - 1} more" if shared.nunique() > 1 else "")
        + "; choose other images for prepare.split, or say overlap: drop"
    )


def _refuse_empty(sides: np.ndarray, params: SplitParams, manifest: pd.DataFrame) -> None:
    for split in SPLITS:
        if split not in sides:
            units = manifest[params.by].nunique()
            dropped = int((sides == DROPPED).sum())
            raise DataError(
                f"the {split} split is empty: {units} values of {params.by}, val {params.val}, test {params.test}"
                + (f", {dropped} images dropped" if dropped else "")
            )
