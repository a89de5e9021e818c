"""`degrain sidd-submission`: the table of denoised blocks that Kaggle's SIDD benchmark takes.

One row for each block, `ID` counting the blocks of the first image, then of the second, and `BLOCK` being the base64 of
its bytes.
"""

from __future__ import annotations

import base64
import csv
from collections.abc import Callable
from pathlib import Path

from degrain import files
from degrain.inference.denoiser import Denoiser
from degrain.sidd.blocks import Blocks, denoised


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
            output = denoised(denoiser, noisy)
            table.writerow((number, base64.b64encode(output.tobytes()).decode("ascii")))
            progress()
