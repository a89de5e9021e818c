"""The way between the codes of three images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from degrain.evaluation import examples, interpolation
from degrain.inference.denoiser import Denoiser
from degrain.networks import catalog
from degrain.patches.store import PatchStore
from tests.conftest import picture
from tests.inference.test_denoiser import package


@pytest.mark.parametrize("model", ["bernier2021-latent3", "venkataraman2022-dense", "opengenus2019"])
def test_the_way_goes_from_a_to_b_to_c_and_back_in_equal_steps(tmp_path: Path, model: str) -> None:
    denoiser = Denoiser.load(package(tmp_path / "m", model, 1))
    noisy = np.stack([picture(seed, 32, 32, 1) for seed in range(3)])
    frames = interpolation.frames(denoiser, noisy, 101)
    assert (frames.shape, frames.dtype) == ((101, 32, 32, 1), np.uint8)
    outputs = denoiser.patches(noisy)
    assert len({output.tobytes() for output in outputs}) == 3
    for frame, corner in ((0, 0), (33, 1), (66, 2), (100, 0)):
        assert np.array_equal(frames[frame], outputs[corner])


@pytest.mark.parametrize(
    ("model", "numbers"), [("bernier2021", 16), ("venkataraman2022-dense", 64), ("opengenus2019", 100)]
)
def test_a_code_is_what_the_narrowest_layer_gives(model: str, numbers: int) -> None:
    coder = interpolation.coder(catalog.build(model, 1, 28))
    assert coder
    assert coder[0](torch.rand(2, 1, 28, 28)).shape == (2, numbers)


def test_only_networks_with_a_code_for_the_whole_image_are_animated(tmp_path: Path, store: PatchStore) -> None:
    names = ("bernier2021", "opengenus2019", "unet", "sinha2018", "venkataraman2022", "yilmaz2020")
    denoisers = {
        name: Denoiser.load(package(tmp_path / name, name, store.channels, store.patch_size)) for name in names
    }
    examples.write_animations(tmp_path / "out", store, denoisers, 7)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["bernier2021.gif", "opengenus2019.gif"]
    with Image.open(tmp_path / "out" / "bernier2021.gif") as animation:
        assert (animation.info["loop"], animation.size) == (0, (store.patch_size, store.patch_size))
    examples.write_animations(tmp_path / "none", store, denoisers, 0)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("patches", "count", "chosen"), [(3, 3, [0, 1, 2]), (2, 2, [0, 1]), (10, 3, [5, 7, 9]), (10, 8, [*range(2, 10)])]
)
def test_no_patch_is_shown_twice(patches: int, count: int, chosen: list[int]) -> None:
    levels = np.linspace(0, 255, 16).reshape(4, 4, 1)
    clean = np.stack([levels * (patch + 1) / patches for patch in range(patches)])  # of growing contrast
    assert examples._detailed(clean, count).tolist() == chosen
