"""What a patch store needs of the machine, before anything is written."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal

from degrain.artifacts.store import STORE
from degrain.errors import ParamsError
from degrain.machine import compute
from degrain.params.prepare import PrepareParams
from degrain.patches.grid import grid

# Bytes that a sample has in the index: as six 32-bit numbers, three times over while the table is made.
INDEX = 6 * 4 * 3


@dataclass(frozen=True)
class Needs:
    """What a store needs, at least.

    Attributes:
        patches: In all.
        disk: Bytes on the disk.
        memory: Bytes in memory while it is made.
    """

    patches: int
    disk: int
    memory: int

    def check(self, folder: Path) -> None:
        """Refuse what the machine does not have.

        Args:
            folder: Where the store is to be, or will be made. Where one is, it has its room on the disk.

        Raises:
            ParamsError: Disk or memory do not suffice; the text says which parameters count.
        """
        there = next(path for path in folder.absolute().parents if path.exists())
        disk = 0 if (folder / STORE).exists() else self.disk
        for needed, have, what in (
            (disk, shutil.disk_usage(there).free, "are free on the disk"),
            (self.memory, compute.memory(), "is the memory here"),
        ):
            if needed > have:
                raise ParamsError(
                    f"prepare: {self.patches:,} patches need at least {decimal(needed)}, and {decimal(have)} {what}; "
                    "less of data.limit, prepare.crops, copies or patch_size helps"
                )


def patches_of(width: int, height: int, params: PrepareParams) -> int:
    """Return how many patches an image of a size gives, in pixels; flat ones are counted, too."""
    if params.resize:
        width, height = params.resize.size
    return sum(_cut(width // times, height // times, params) for times in params.shrink)


def _cut(width: int, height: int, params: PrepareParams) -> int:
    if min(width, height) < params.patch_size:
        return 0
    if params.crops:
        return params.crops
    return sum(1 for _ in grid((height, width), params.patch_size, params.stride))


def estimate(patches: int, largest: int, channels: int, params: PrepareParams) -> Needs:
    """Estimate what a store needs, at least.

    Args:
        patches: In all.
        largest: Patches of the image that gives most.
        channels: Of the images, at least.
        params: Patch size, bits, copies and noise.
    """
    values = params.patch_size**2 * channels
    size = values * params.bits // 8
    samples = patches * max(1, params.copies)
    # NOTE: noisy versions of the training side are drawn later, unless they are real.
    arrays = patches * size * (2 if params.noise.paired else 1)
    # NOTE: patches of one image are cut together, and those of the held-out sides get noise as 32-bit floats.
    return Needs(patches, arrays + samples, samples * INDEX + largest * (size + values * 4))
