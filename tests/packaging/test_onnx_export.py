"""ONNX: the same numbers as PyTorch for every network, the same bytes every time, and no name of a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from degrain.errors import ModelError
from degrain.inference.denoiser import Denoiser
from degrain.networks import catalog
from degrain.packaging import onnx_export
from tests.conftest import with_slow
from tests.packaging import packages

SIZE = 32
VARIANTS = ["unet-x2", "bernier2021-latent3"]


def session(content: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


MODELS = (*catalog.MODELS, *VARIANTS)
# One of each way in which networks are built; make test-slow has all.
QUICK = ("sinha2018", "bernier2021", "yilmaz2020-shallow", "ffdnet", "unet")


@pytest.mark.parametrize("model", with_slow(MODELS, set(MODELS) - set(QUICK)))
def test_a_network_computes_the_same_as_in_pytorch(model: str) -> None:
    made, spec = packages.denoiser(model, size=SIZE), catalog.spec(model)
    exported = session(onnx_export.export(made))
    least = -(-spec.smallest // spec.multiple) * spec.multiple
    for count, times in ((1, 1), (2, 3), (3, 4)):
        sides = (SIZE, SIZE) if spec.fixed_size else (least * times, least * (times + 1))
        images = torch.rand(count, 3, *sides)
        with torch.inference_mode():
            expected = made.network.eval()(images).numpy()
        (found,) = exported.run(None, {onnx_export.INPUT: images.numpy()})
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_two_exports_are_equal_and_name_no_file() -> None:
    first, second = (onnx_export.export(packages.denoiser("unet")) for _ in range(2))
    assert first == second
    for folder in (Path.home(), Path.cwd(), Path(sys.prefix), Path(torch.__file__).parent, Path(onnx_export.__file__)):
        assert os.fsencode(folder) not in first
    assert b"site-packages" not in first
    assert b".py" not in first


def test_an_export_says_what_serving_must_know() -> None:
    made = packages.denoiser("bernier2021", channels=1, light="linear")
    known = session(onnx_export.export(made)).get_modelmeta().custom_metadata_map
    assert known == {
        "degrain.channels": "1",
        "degrain.fixed_size": "1",
        "degrain.light": "linear",
        "degrain.multiple": "4",
        "degrain.patch_size": "32",
        "degrain.radius": "0",
        "degrain.smallest": "1",
        "degrain.trial_key": "key",
        "degrain.weights_sha256": "w" * 64,
    }


def test_the_network_that_is_exported_stays_as_it_is() -> None:
    made = packages.denoiser("machinecurve2019")
    made.network.train()
    onnx_export.export(made)
    assert made.network.training


def test_a_network_without_a_trial_is_refused() -> None:
    made = packages.denoiser("machinecurve2019")
    with pytest.raises(ModelError, match="machinecurve2019 is still being trained"):
        onnx_export.export(Denoiser(made.network, made.model, 3, SIZE))
