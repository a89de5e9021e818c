"""`degrain sidd-submission`: the table of denoised blocks that Kaggle's SIDD benchmark takes.

Source: Abdelhamed, Lin, Brown, "A high-quality denoising dataset for smartphone cameras", CVPR 2018, whose benchmark is
held on Kaggle now: one row for each block, `ID` counting the blocks of the first image, then of the second, and `BLOCK`
being the base64 of its bytes.
"""

from __future__ import annotations

import base64
import csv
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from degrain import files
from degrain.errors import DataError
from degrain.evaluation import metrics
from degrain.formats.containers import Containers
from degrain.inference.denoiser import Denoiser

log = logging.getLogger(__name__)

BENCHMARK = (40, 32)  # images, and blocks of each


@dataclass(frozen=True)
class Blocks:
    """The noisy blocks of a benchmark, read one at a time.

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
            noisy = self.containers.read(f"{self.source.name}::{number // self.each}/{number % self.each}").pixels
            if noisy.dtype != np.uint8 or noisy.shape[2] != 3:
                raise DataError(f"{self.source} holds {noisy.dtype} blocks of shape {noisy.shape}, not 8-bit sRGB")
            yield noisy


@contextmanager
def opened(source: Path) -> Iterator[Blocks]:
    """Open `BenchmarkNoisyBlocksSrgb.mat`: uint8 (images, blocks, H, W, 3).

    Raises:
        DataError: It is missing, damaged, or holds no blocks of images.
    """
    with Containers(source.parent) as containers:
        counted = containers.count(source.name) if source.suffix.lower() == ".mat" else 0
        if not isinstance(counted, tuple):
            raise DataError(f"{source} is no MATLAB file of blocks (BenchmarkNoisyBlocksSrgb.mat)")
        if counted != BENCHMARK:
            log.warning("%s holds %d x %d blocks, not the benchmark's %d x %d", source, *counted, *BENCHMARK)
        yield Blocks(source, containers, *counted)


def write(denoiser: Denoiser, blocks: Blocks, target: Path, progress: Callable[[], None] = lambda: None) -> None:
    """Denoise the blocks of a benchmark and write its table, row by row; memory holds one block besides the input.

    Args:
        denoiser: Of color images.
        blocks: Of the benchmark.
        target: The table; it appears when it is whole.
        progress: Called after each block.

    Raises:
        DataError: The blocks are damaged, or something else than 8-bit sRGB.
        OutputError: The table cannot be written.
    """
    with files.new_file(target) as partial, partial.open("w", encoding="ascii", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("ID", "BLOCK"))
        for number, noisy in enumerate(blocks):
            output = denoiser.image(noisy.astype(np.float32) / 255)
            block = metrics.to_depth(output, np.dtype(np.uint8))
            table.writerow((number, base64.b64encode(block.tobytes()).decode("ascii")))
            progress()
