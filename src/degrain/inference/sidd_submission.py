"""`degrain sidd-submission`: the table of denoised blocks that Kaggle's SIDD benchmark takes.

Source: Abdelhamed, Lin, Brown, "A high-quality denoising dataset for smartphone cameras", CVPR 2018, whose benchmark is
held on Kaggle now: one row for each block, `ID` counting the blocks of the first image, then of the second, and `BLOCK`
being the base64 of its bytes.
"""

from __future__ import annotations

import base64
import csv
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from degrain import files
from degrain.errors import DataError
from degrain.evaluation import metrics
from degrain.formats.containers import Containers
from degrain.inference.denoiser import Denoiser

log = logging.getLogger(__name__)

BENCHMARK = (40, 32)  # images, and blocks of each


def count(source: Path) -> int:
    """Count the blocks of a MATLAB file.

    Raises:
        DataError: It is missing, damaged, or holds no blocks of images.
    """
    with Containers(source.parent) as containers:
        images, blocks = _counts(containers, source)
    return images * blocks


def write(denoiser: Denoiser, source: Path, target: Path, progress: Callable[[], None] = lambda: None) -> None:
    """Denoise the blocks of a benchmark and write its table, row by row; memory holds one block besides the input.

    Args:
        denoiser: Of color images.
        source: `BenchmarkNoisyBlocksSrgb.mat`: uint8 (images, blocks, H, W, 3).
        target: The table; it appears when it is whole.
        progress: Called after each block.

    Raises:
        DataError: The file is missing, damaged, or holds something else.
        OutputError: The table cannot be written.
    """
    with Containers(source.parent) as containers:
        images, blocks = _counts(containers, source)
        if (images, blocks) != BENCHMARK:
            log.warning("%s holds %d x %d blocks, not the benchmark's %d x %d", source, images, blocks, *BENCHMARK)
        with files.new_file(target) as partial, partial.open("w", encoding="ascii", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("ID", "BLOCK"))
            for number in range(images * blocks):
                noisy = containers.read(f"{source.name}::{number // blocks}/{number % blocks}").pixels
                if noisy.dtype != np.uint8 or noisy.shape[2] != 3:
                    raise DataError(f"{source} holds {noisy.dtype} blocks of shape {noisy.shape}, not 8-bit sRGB")
                output = denoiser.image(noisy.astype(np.float32) / 255)
                block = metrics.to_depth(output, np.dtype(np.uint8))
                table.writerow((number, base64.b64encode(block.tobytes()).decode("ascii")))
                progress()


def _counts(containers: Containers, source: Path) -> tuple[int, int]:
    counted = containers.count(source.name) if source.suffix.lower() == ".mat" else 0
    if not isinstance(counted, tuple):
        raise DataError(f"{source} is no MATLAB file of blocks (BenchmarkNoisyBlocksSrgb.mat)")
    return counted
