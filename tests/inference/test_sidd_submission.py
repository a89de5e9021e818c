"""The table for Kaggle's SIDD benchmark, from a generated file of blocks."""

from __future__ import annotations

import base64
import csv
import logging
from pathlib import Path

import numpy as np
import pytest

from degrain.errors import DataError
from degrain.inference import sidd_submission
from degrain.inference.denoiser import Denoiser
from tests.conftest import picture
from tests.formats.fixtures import mat_v5
from tests.inference.test_denoiser import package

IMAGES, BLOCKS, SIDE = 2, 3, 32


@pytest.fixture
def blocks() -> np.ndarray:
    pictures = [picture(number, SIDE, SIDE) for number in range(IMAGES * BLOCKS)]
    return np.stack(pictures).reshape(IMAGES, BLOCKS, SIDE, SIDE, 3)


@pytest.fixture
def denoiser(tmp_path: Path) -> Denoiser:
    return Denoiser.load(package(tmp_path / "model", "sinha2018", 3))


def test_each_block_has_a_row(
    tmp_path: Path, blocks: np.ndarray, denoiser: Denoiser, caplog: pytest.LogCaptureFixture
) -> None:
    source, target = tmp_path / "BenchmarkNoisyBlocksSrgb.mat", tmp_path / "new" / "submission.csv"
    source.write_bytes(mat_v5(BenchmarkNoisyBlocksSrgb=blocks))
    done = []
    with caplog.at_level(logging.WARNING, "degrain"), sidd_submission.opened(source) as noisy_blocks:
        assert len(noisy_blocks) == IMAGES * BLOCKS
        sidd_submission.write(denoiser, noisy_blocks, target, lambda: done.append(1))
    assert len(done) == IMAGES * BLOCKS
    assert "not the benchmark's 40 x 32" in caplog.text
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["ID"] for row in rows] == [str(number) for number in range(IMAGES * BLOCKS)]
    for number, row in enumerate(rows):
        written = np.frombuffer(base64.b64decode(row["BLOCK"]), np.uint8).reshape(SIDE, SIDE, 3)
        noisy = blocks[number // BLOCKS, number % BLOCKS]
        expected = np.rint(np.clip(denoiser.image(noisy.astype(np.float32) / 255), 0, 1) * 255)
        assert np.array_equal(written, expected)
        assert written.std() > 0


def test_what_is_no_benchmark_is_refused(tmp_path: Path, blocks: np.ndarray, denoiser: Denoiser) -> None:
    raw, table = tmp_path / "raw.mat", tmp_path / "table.csv"
    raw.write_bytes(mat_v5(BenchmarkNoisyBlocksRaw=blocks[..., 0].astype(np.float32) / 255))
    with sidd_submission.opened(raw) as noisy_blocks, pytest.raises(DataError, match="not 8-bit sRGB"):
        sidd_submission.write(denoiser, noisy_blocks, table)
    assert [path.name for path in tmp_path.iterdir() if "table" in path.name] == []
    for name in ("missing.mat", "picture.png"):
        with pytest.raises(DataError, match=name), sidd_submission.opened(tmp_path / name):
            pass
