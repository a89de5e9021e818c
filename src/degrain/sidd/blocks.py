"""The blocks that SIDD publishes beside its photographs: one MATLAB file of 40 images x 32 blocks of 256x256 pixels.

Source: Abdelhamed, Lin, Brown, "A high-quality denoising dataset for smartphone cameras", CVPR 2018.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from degrain.errors import DataError
from degrain.inference.denoiser import Denoiser
from degrain.ingest.formats.containers import Containers

log = logging.getLogger(__name__)

PUBLISHED = (40, 32)  # images, and blocks of each
SIDE = 256  # pixels of a block


@dataclass(frozen=True)
class Blocks:
    """The blocks of one file, read one at a time.

    Attributes:
        source: The MATLAB file.
        containers: What reads it, once.
        images, each: How many images there are, and blocks of each.
    """

    source: Path
    containers: Containers
    images: int
    each: int

    def __len__(self) -> int:
        return self.images * self.each

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the blocks, image by image: uint8 (H, W, 3)."""
        for number in range(len(self)):
            block = self.containers.read(f"{self.source.name}::{number // self.each}/{number % self.each}").pixels
            if block.dtype != np.uint8 or block.shape[2] != 3:
                raise DataError(f"{self.source} holds {block.dtype} blocks of shape {block.shape}, not 8-bit sRGB")
            yield block


@contextmanager
def opened(source: Path) -> Iterator[Blocks]:
    """Open a file of blocks, such as `BenchmarkNoisyBlocksSrgb.mat`: uint8 (images, blocks, H, W, 3).

    Raises:
        DataError: It is missing, damaged, or holds no blocks of images.
    """
    with Containers(source.parent) as containers:
        counted = containers.count(source.name) if source.suffix.lower() == ".mat" else 0
        if not isinstance(counted, tuple):
            raise DataError(f"{source} is no MATLAB file of blocks, such as BenchmarkNoisyBlocksSrgb.mat")
        if counted != PUBLISHED:
            log.warning("%s holds %d x %d blocks, not the %d x %d that SIDD publishes", source, *counted, *PUBLISHED)
        yield Blocks(source, containers, *counted)


def denoised(denoiser: Denoiser, noisy: np.ndarray) -> np.ndarray:
    """Denoise one block, whole unless the network takes one size only: uint8 (H, W, 3) with H and W up to 256."""
    return denoiser.image(noisy, tile=SIDE)
