"""Files of blocks, as SIDD publishes them but few and small, and a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from degrain.inference.denoiser import Denoiser
from tests.conftest import picture
from tests.inference.test_denoiser import package

IMAGES, BLOCKS, SIDE = 2, 3, 32


@pytest.fixture
def blocks() -> np.ndarray:
    """uint8 (images, blocks, height, width, 3)."""
    pictures = [picture(number, SIDE, SIDE) for number in range(IMAGES * BLOCKS)]
    return np.stack(pictures).reshape(IMAGES, BLOCKS, SIDE, SIDE, 3)


@pytest.fixture
def denoiser(tmp_path: Path) -> Denoiser:
    """An untrained network that changes what it gets."""
    return Denoiser.load(package(tmp_path / "model", "sinha2018", 3))
