"""`degrain sidd-validation`: a network on the 1,280 validation blocks by which the literature compares.

Every number is a mean over blocks, in RGB, by `degrain.metrics.catalog`: outputs are rounded to 8 bits first. HINet
and NAFNet do not round, which is worth 0.06 dB on a block at 40 dB; papers have several implementations of SSIM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from degrain.artifacts.sidd_validation import BlockScores
from degrain.errors import DataError
from degrain.inference.denoiser import Denoiser
from degrain.ingest.datasets.sidd import SIDD_VALIDATION
from degrain.metrics.catalog import METRICS
from degrain.sidd.blocks import Blocks, denoised, opened


@contextmanager
def pairs(folder: Path) -> Iterator[tuple[Blocks, Blocks]]:
    """Open the noisy and the clean validation blocks.

    Args:
        folder: Which holds ValidationNoisyBlocksSrgb.mat and ValidationGtBlocksSrgb.mat.

    Yields:
        Noisy and clean blocks, as many of one as of the other.

    Raises:
        DataError: One is missing, damaged, or not as many blocks as the other.
    """
    clean_file, noisy_file = (folder / file.name for file in SIDD_VALIDATION.files)
    for file in (clean_file, noisy_file):
        if not file.is_file():
            raise DataError(f"{file} is missing; to download it: dvc exp run -S study=sidd-validation download")
    with opened(noisy_file) as noisy, opened(clean_file) as clean:
        if (noisy.images, noisy.each) != (clean.images, clean.each):
            counts = [f"{blocks.images} x {blocks.each}" for blocks in (noisy, clean)]
            raise DataError(f"{noisy_file} and {clean_file} hold {counts[0]} and {counts[1]} blocks, not as many")
        yield noisy, clean


def score(
    denoiser: Denoiser, noisy_blocks: Blocks, clean_blocks: Blocks, progress: Callable[[], None] = lambda: None
) -> BlockScores:
    """Measure a network, block by block; memory holds one pair of them besides the input.

    Args:
        denoiser: Of color images.
        noisy_blocks, clean_blocks: What `pairs` opened.
        progress: Called after each pair.

    Raises:
        DataError: The blocks are damaged, something else than 8-bit sRGB, or of two sizes.
    """
    rows = []
    for noisy, clean in zip(noisy_blocks, clean_blocks, strict=True):
        if noisy.shape != clean.shape:
            raise DataError(f"{noisy_blocks.source} holds blocks {noisy.shape}, {clean_blocks.source} {clean.shape}")
        if too_small := [metric for metric in METRICS.values() if min(noisy.shape[:2]) < metric.smallest]:
            metric = too_small[0]
            raise DataError(
                f"{noisy_blocks.source} holds blocks {noisy.shape}, too small for {metric.title}, which needs "
                f"{metric.smallest} pixels"
            )
        both, twice = np.stack([noisy, denoised(denoiser, noisy)]), np.stack([clean, clean])
        rows.append([metric.values(both, twice) for metric in METRICS.values()])
        progress()
    noisy_means, denoised_means = (
        {name: float(value) for name, value in zip(METRICS, means, strict=True)} for means in np.mean(rows, axis=0).T
    )
    return BlockScores(blocks=len(rows), noisy=noisy_means, denoised=denoised_means)
