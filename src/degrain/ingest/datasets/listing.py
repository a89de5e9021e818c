"""Listings: which images a data set has, read from names and labels alone, before anything is decoded.

A listing has one row per image, or per pair of a noisy and a clean image, with these columns; what a data set does not
say is missing (NA):

path      locator of the image, or of the clean one of a pair (see `degrain.ingest.formats.containers`); unique
noisy     locator of the noisy one of a pair
unpaired  "noisy" or "clean": which of a pair has no partner; path is then the one that is there
source    what always stays on one side of a split: a photograph with all its views, a scene instance with all frames
scene     what was photographed
camera    what it was photographed with
instance  one shooting: a scene by one camera with one setting
label     class
part      the publisher's own split: "train", "val" or "test"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from degrain.errors import DataError, ParamsError, nearest
from degrain.ingest.formats import folders
from degrain.params.data import DataParams
from degrain.randomness import generator

COLUMNS = ("path", "noisy", "unpaired", "source", "scene", "camera", "instance", "label", "part")


def table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a listing of rows that name some of the columns; errors are those of `complete`."""
    return complete(pd.DataFrame(list(rows)))


def complete(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the columns that are missing, and fix order and types.

    Raises:
        DataError: There are no rows.
    """
    if frame.empty:
        raise DataError("the data set holds no image")
    return frame.reindex(columns=list(COLUMNS)).astype("string")


def matches(
    names: Iterable[str], pattern: str, suffixes: Sequence[str], what: str, beside: str = ""
) -> list[re.Match[str]]:
    """Return the names of an archive's images, in the order of the names; say which images are left out.

    Args:
        names: Of the archive's members.
        pattern: What they have to match as a whole, but for the suffix.
        suffixes: Of the images, in lower case, such as (".jpg", ".jpeg"); case does not matter.
        what: What messages call the archive.
        beside: Pattern of members with such a suffix that are no images and belong there; none if empty.

    Raises:
        DataError: There is none: the archive holds something else.
    """
    names = sorted(names)
    compiled = re.compile(f"{pattern}(?i:{'|'.join(map(re.escape, suffixes))})")
    found = [match for name in names if (match := compiled.fullmatch(name))]
    unmatched = set(names) - {match[0] for match in found}
    others = [name for name in unmatched if not re.fullmatch(beside, name) and _is_image(name, suffixes)]
    if not found:
        raise DataError(
            f"{what} holds no image of the expected layout, but {len(others)} images and "
            f"{len(unmatched) - len(others)} files of another; is it another file under the same name? "
            "Then remove its line from data/checksums.json, too"
        )
    folders.warn_of_others(what, others)
    return found


def _is_image(name: str, suffixes: Sequence[str]) -> bool:
    return name.lower().endswith((*folders.SUFFIXES, *suffixes))


def pair(images: Iterable[tuple[str, bool, Mapping[str, Any]]]) -> pd.DataFrame:
    """Match noisy and clean images by what their names say, never by their order.

    Args:
        images: For each image its locator, whether it is the noisy one, and the columns read from its name. Two
            images with equal columns are a pair.

    Returns:
        A listing; an image without partner is marked as unpaired.

    Raises:
        DataError: Two images claim the same place.
    """
    found: dict[tuple[tuple[str, Any], ...], dict[bool, str]] = {}
    for locator, noisy, columns in images:
        both = found.setdefault(tuple(sorted(columns.items())), {})
        if noisy in both:
            raise DataError(f"{locator} and {both[noisy]} are the same image by their names")
        both[noisy] = locator
    rows = []
    for key, both in found.items():
        alone = None if len(both) == 2 else "noisy" if True in both else "clean"
        rows.append(
            dict(key)
            | {"path": both.get(False, both.get(True)), "noisy": both.get(True) if not alone else None}
            | {"unpaired": alone}
        )
    return table(rows)


def select(listing: pd.DataFrame, params: DataParams) -> pd.DataFrame:
    """Keep the classes and the like that the study wants, and of those a seeded part, in the listing's order.

    The part is drawn evenly over the publisher's parts, scenes and classes, so that each keeps its share.

    Raises:
        ParamsError: No image is of a class, or has another value, that the study wants.
    """
    wanted = [("data.labels", "label", params.labels)] if params.labels else []
    wanted += [(f"data.only.{column}", column, values) for column, values in params.only.items()]
    for name, column, values in wanted:
        known = set(listing[column].dropna())
        for value in values:
            if value not in known:
                raise ParamsError(f"{name}: no image has the {column} {value!r}{nearest(value, known)}")
        listing = listing[listing[column].isin(values)]
    if 0 < params.limit < len(listing):
        chance = pd.Series(generator(params.seed, "limit").random(len(listing)), index=listing.index)
        groups = listing[["part", "scene", "label"]].fillna("")
        groups.insert(0, "chance", chance)
        rank = groups.groupby(["part", "scene", "label"])["chance"].rank(method="first")
        of = groups.groupby(["part", "scene", "label"])["chance"].transform("size")
        order = ((rank - 0.5) / of + chance * 1e-6).sort_values().index[: params.limit]
        listing = listing.loc[sorted(order)]
    return listing.reset_index(drop=True)
