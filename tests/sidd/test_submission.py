"""The table for Kaggle's SIDD benchmark, from a generated file of blocks."""

from __future__ import annotations

import base64
import csv
import logging
from pathlib import Path

import numpy as np
import pytest

from degrain.errors import DataError
from degrain.inference.denoiser import Denoiser
from degrain.sidd import submission
from degrain.sidd.blocks import opened
from tests.ingest.formats.fixtures import mat_v5
from tests.sidd.conftest import BLOCKS, IMAGES, SIDE


def test_each_block_has_a_row(
    tmp_path: Path, blocks: np.ndarray, denoiser: Denoiser, caplog: pytest.LogCaptureFixture
) -> None:
    source, target = tmp_path / "BenchmarkNoisyBlocksSrgb.mat", tmp_path / "new" / "submission.csv"
    source.write_bytes(mat_v5(BenchmarkNoisyBlocksSrgb=blocks))
    done = []
    with caplog.at_level(logging.WARNING, "degrain"), opened(source) as noisy_blocks:
        assert len(noisy_blocks) == IMAGES * BLOCKS
        submission.write(denoiser, noisy_blocks, target, lambda: done.append(1))
    assert len(done) == IMAGES * BLOCKS
    assert "not the 40 x 32 that SIDD publishes" in caplog.text
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["ID"] for row in rows] == [str(number) for number in range(IMAGES * BLOCKS)]
    for number, row in enumerate(rows):
        written = np.frombuffer(base64.b64decode(row["BLOCK"]), np.uint8).reshape(SIDE, SIDE, 3)
        noisy = blocks[number // BLOCKS, number % BLOCKS]
        assert np.array_equal(written, denoiser.image(noisy))
        assert written.std() > 0


def test_what_is_no_benchmark_is_refused(tmp_path: Path, blocks: np.ndarray, denoiser: Denoiser) -> None:
    raw, table = tmp_path / "raw.mat", tmp_path / "table.csv"
    raw.write_bytes(mat_v5(BenchmarkNoisyBlocksRaw=blocks[..., 0].astype(np.float32) / 255))
    with opened(raw) as noisy_blocks, pytest.raises(DataError, match="not 8-bit sRGB"):
        submission.write(denoiser, noisy_blocks, table)
    assert [path.name for path in tmp_path.iterdir() if "table" in path.name] == []
    for name in ("missing.mat", "picture.png"):
        with pytest.raises(DataError, match=name), opened(tmp_path / name):
            pass
