"""Holding out sources: whole images or scenes, before anything is cut or copied."""

from __future__ import annotations

from collections.abc import Sequence

from degrain.errors import DataError, ParamsError, nearest
from degrain.params import SplitParams
from degrain.randomness import generator

SPLITS = ("train", "val", "test")


def assign(sources: Sequence[str], params: SplitParams, seed: int) -> dict[str, str]:
    """Put every source on exactly one side.

    Args:
        sources: The sources at hand; repetitions do not matter.
        params: Names, or shares of the sources, for val and test. A share takes at least one source.
        seed: Orders the sources that shares are taken from.

    Returns:
        The split of each source: "train", "val" or "test".

    Raises:
        ParamsError: A named source is not there.
        DataError: A split would be empty.
    """
    names = sorted(set(sources))
    held_out: dict[str, str] = {}
    for split in ("val", "test"):
        wanted = getattr(params, split)
        if isinstance(wanted, list):
            for name in wanted:
                if name not in names:
                    raise ParamsError(f"prepare.split.{split}: no image has the source {name!r}{nearest(name, names)}")
                held_out[name] = split
    for split in ("val", "test"):
        wanted = getattr(params, split)
        if isinstance(wanted, float):
            order = generator(seed, f"{split} split").permutation(len(names))
            free = [names[i] for i in order if names[i] not in held_out]
            held_out |= dict.fromkeys(free[: max(1, round(wanted * len(names)))], split)
    sides = {name: held_out.get(name, "train") for name in names}
    for split in SPLITS:
        if split not in sides.values():
            raise DataError(f"the {split} split is empty: {len(names)} sources, val {params.val}, test {params.test}")
    return sides
