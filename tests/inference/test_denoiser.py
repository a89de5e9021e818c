"""Trained models: loaded without executing anything, fed with any image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from degrain import files
from degrain.errors import DegrainError, ModelError
from degrain.inference.denoiser import Denoiser
from degrain.machine import precision
from degrain.networks import catalog
from tests.artifacts import records
from tests.conftest import picture, with_slow
from tests.provenance import mutation


def package(folder: Path, model: str, channels: int, size: int = 32) -> Path:
    torch.manual_seed(0)
    folder.mkdir()
    save_file(catalog.build(model, channels, size).state_dict(), folder / "weights.safetensors")
    describe(folder, model, channels, size)
    return folder


def describe(folder: Path, model: str, channels: int, size: int) -> None:
    """Write the trial.json of the weights in a folder."""
    hashes = {"weights.safetensors": files.sha256(folder / "weights.safetensors")}
    records.trial(model=model, channels=channels, patch_size=size, sha256=hashes).write(folder / "trial.json")


# Networks that take seconds; rednet10, bernier2021 and resunet-small have the same layers.
LARGE = ("dncnn", "dncnn-20", "resunet-large")
MODELS = with_slow(catalog.MODELS, LARGE)


@pytest.mark.parametrize("model", [*MODELS, "sinha2018-x4", "machinecurve2019-x2"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(70, 45, 1), (70, 45, 3), (3, 5, 3)])
def test_any_image_goes_through_any_model(tmp_path: Path, model: str, channels: int, shape: tuple[int, ...]) -> None:
    denoiser = Denoiser.load(package(tmp_path / "m", model, channels))
    for dtype in (np.uint8, np.uint16):
        output = denoiser.image(picture(0, *shape).astype(dtype), tile=48, overlap=8)
        assert output.shape == shape
        assert output.dtype == dtype


def test_an_untrained_unet_gives_back_a_gray_image_through_its_color_channels(tmp_path: Path) -> None:
    denoiser = Denoiser.load(package(tmp_path / "m", "unet", 3))
    image = picture(0, channels=1)
    assert np.array_equal(denoiser.image(image), image)


def test_batches_do_not_change_the_result(tmp_path: Path) -> None:
    denoiser = Denoiser.load(package(tmp_path / "m", "sinha2018", 3))
    patches = np.stack([picture(i, 32, 32) for i in range(7)])
    assert np.array_equal(denoiser.patches(patches, batch=7), denoiser.patches(patches, batch=3))


def test_inference_leaves_the_network_in_training_mode(tmp_path: Path) -> None:
    denoiser = Denoiser.load(package(tmp_path / "m", "bernier2021", 3))
    before = denoiser.network.state_dict()["encoder.2.running_mean"].clone()
    denoiser.network.train()
    denoiser.patches(np.stack([picture(0, 32, 32)]))
    assert denoiser.network.training
    assert torch.equal(denoiser.network.state_dict()["encoder.2.running_mean"], before)


def test_bfloat16_changes_pixels_by_little(tmp_path: Path) -> None:
    folder = package(tmp_path / "m", "unet", 3)
    exact, coarse = (Denoiser.load(folder, precision=kind) for kind in ("float32", "bfloat16"))
    torch.nn.init.normal_(exact.network.tail.weight, std=0.02)
    coarse.network.load_state_dict(exact.network.state_dict())
    image = np.random.default_rng(0).integers(0, 256, (65, 47, 3), np.uint8)
    difference = np.abs(exact.image(image).astype(int) - coarse.image(image))
    assert 0 < difference.max() <= 3


@pytest.mark.parametrize(("units", "auto"), [(True, "bfloat16"), (False, "float32")])
def test_on_a_cpu_with_units_for_it_auto_is_bfloat16(monkeypatch: pytest.MonkeyPatch, units: bool, auto: str) -> None:
    monkeypatch.setattr(precision, "has_bfloat16_units", lambda device: units)
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert precision.for_inference("auto", cpu) == precision.resolve("auto", gpu) == auto
    assert precision.for_inference("auto", gpu) == precision.for_inference("float32", cpu) == "float32"


def test_damaged_and_foreign_weights_are_refused(tmp_path: Path) -> None:
    folder = package(tmp_path / "m", "unet", 3)
    weights = folder / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="its SHA-256 is not the recorded one"):
        Denoiser.load(folder)
    weights.write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    with pytest.raises(ModelError, match="its SHA-256 is not the recorded one"):
        Denoiser.load(folder)
    save_file({"other": torch.zeros(3)}, weights)
    describe(folder, "unet", 3, 32)
    with pytest.raises(ModelError, match="damaged model"):
        Denoiser.load(folder)
    weights.write_bytes(b"no weights")
    describe(folder, "unet", 3, 32)
    with pytest.raises(ModelError, match="is damaged"):
        Denoiser.load(folder)
    weights.unlink()
    with pytest.raises(ModelError, match="holds no trained model"):
        Denoiser.load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    folder = package(tmp_path / "m", "unet", 3)
    weights = catalog.build("unet", 3, 32).state_dict()
    name = next(iter(weights))
    weights[name].view(-1)[0] = value
    save_file(weights, folder / "weights.safetensors")
    describe(folder, "unet", 3, 32)
    with pytest.raises(ModelError, match=f"holds NaN or infinity in {name}"):
        Denoiser.load(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"model": "unet"}', '{"model": 1, "sha256": []}'])
def test_a_damaged_trial_json_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    folder = package(tmp_path / "m", "unet", 3)
    (folder / "trial.json").write_text(content)
    with pytest.raises(DegrainError) as caught:
        Denoiser.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("module", ["networks/unet.py", "networks/base.py"])
def test_weights_of_other_code_of_the_network_are_refused(tmp_path: Path, module: str) -> None:
    folder = package(tmp_path / "m", "unet", 3)
    with (
        mutation.changed_code(tmp_path, module),
        pytest.raises(ModelError, match=r"trained with other code of unet than .*; run: dvc repro train@unet$"),
    ):
        Denoiser.load(folder)
    assert Denoiser.load(folder).model == "unet"


def test_a_model_of_another_version_of_degrain_is_refused(tmp_path: Path) -> None:
    folder = package(tmp_path / "m", "unet", 3)
    records.rewrite(folder / "trial.json", schema_version=1)
    with pytest.raises(
        ModelError, match=r"holds a model of another version of degrain: .* has schema version 1, which is older"
    ):
        Denoiser.load(folder)
