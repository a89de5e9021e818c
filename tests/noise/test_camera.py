"""Noise of cameras: its steps against closed forms and other implementations, the whole against real pairs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from degrain.noise import bayer, finishing, unprocessing
from degrain.noise.camera import CameraNoise
from degrain.randomness import generators
from tests.conftest import MIRROR, picture

PAIRS = MIRROR / "sidd" / "sidd-native-crops.zip"
# Kernels of Malvar, He, Cutler (figure 2), times 8: G at R and B; R at G of R's rows; B at R and R at B.
GREEN = [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
IN_ROW = [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]
DIAGONAL = [[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]
EVERY_CAMERA: dict[str, Any] = {"clean": 0.0, "gaussian": 0.0}


def of(**params: Any) -> CameraNoise:
    return CameraNoise(kind="camera", **params)


def on_host(noise: CameraNoise, clean: np.ndarray, seed: int = 0) -> np.ndarray:
    parts = [range(start, min(start + 20, len(clean))) for start in range(0, len(clean), 20)]
    made = [noise.draw(clean[part.start : part.stop], generators((seed, "test", i) for i in part)) for part in parts]
    return np.concatenate(made)


def by_torch(noise: CameraNoise, clean: np.ndarray, seed: int = 0) -> np.ndarray:
    return noise.draw_on_device(torch.from_numpy(clean), torch.Generator().manual_seed(seed)).numpy()


everywhere = pytest.mark.parametrize("drawn", [on_host, by_torch], ids=["host", "device"])
Drawn = Callable[..., np.ndarray]


def flat(level: float, count: int = 1000, side: int = 24) -> np.ndarray:
    return np.full((count, side, side, 3), level, np.float32)


def packed(mosaic: np.ndarray) -> np.ndarray:
    return np.stack([mosaic[..., row::2, column::2] for row, column in bayer.CELL], axis=-3)


def deviations(added: np.ndarray) -> np.ndarray:
    """Of each patch, (N,)."""
    return np.asarray(added.std(axis=(1, 2)).mean(axis=1))


def correlations(added: np.ndarray) -> np.ndarray:
    """Of neighbors in a row, of each patch and channel, (N, 3)."""
    centered = added - added.mean(axis=(1, 2), keepdims=True)
    left, right = centered[:, :, :-1], centered[:, :, 1:]
    power = np.sqrt((left**2).sum(axis=(1, 2)) * (right**2).sum(axis=(1, 2)))
    return np.asarray((left * right).sum(axis=(1, 2)) / np.maximum(power, 1e-9))


def between_colors(added: np.ndarray) -> np.ndarray:
    """Correlations of R with G, G with B and B with R, of each patch, (N, 3)."""
    centered = added - added.mean(axis=(1, 2), keepdims=True)
    other = np.roll(centered, -1, axis=3)
    power = np.sqrt((centered**2).sum(axis=(1, 2)) * (other**2).sum(axis=(1, 2)))
    return np.asarray((centered * other).sum(axis=(1, 2)) / np.maximum(power, 1e-9))


def a_camera(count: int = 1, shot: float = 0.01, read: float = 0.001) -> unprocessing.Camera:
    matrix, inverse = unprocessing.matrices(*np.random.default_rng(0).random((4, count, 1, 1), np.float32))
    gains = np.tile(np.array([2.0, 1.25, 1.8], np.float32)[:, None, None], (count, 1, 1, 1))
    numbers = (np.full((count, 1, 1, 1), value, np.float32) for value in (shot, read, -1))
    return unprocessing.Camera(matrix, inverse, gains, *numbers)


def test_demosaicing_is_that_of_the_paper() -> None:
    mosaic = np.random.default_rng(0).random((20, 24)).astype(np.float32)
    green, in_row, in_column, diagonal = (
        ndimage.correlate(mosaic.astype(float), np.array(kernel) / 8)
        for kernel in (GREEN, IN_ROW, np.transpose(IN_ROW), DIAGONAL)
    )
    found = {(0, 0): (mosaic, green, diagonal), (0, 1): (in_row, mosaic, in_column)}
    found |= {(1, 0): (in_column, mosaic, in_row), (1, 1): (diagonal, green, mosaic)}
    expected = np.empty((3, 20, 24))
    for (row, column), colors in found.items():
        for target, color in zip(expected, colors, strict=True):
            target[row::2, column::2] = color[row::2, column::2]
    made = bayer.demosaic(packed(mosaic)[None], np.ones((1, 1, 1), np.float32))
    assert made.dtype == np.float32
    assert np.allclose(made[0], expected[:, 2:-2, 2:-2], atol=1e-6)


@pytest.mark.parametrize("correction", [0.0, 0.5, 1.0])
def test_a_flat_mosaic_stays_flat_and_a_ramp_a_ramp(correction: float) -> None:
    y, x = np.mgrid[0:16, 0:20].astype(np.float32)
    for mosaic in (np.full_like(x, 7), 3 * x, 2 * y, x - 2 * y):
        for whole in (np.asarray, torch.from_numpy):
            made = bayer.demosaic(whole(packed(mosaic)[None]), whole(np.full((1, 1, 1), correction, np.float32)))
            assert np.allclose(np.asarray(made), mosaic[2:-2, 2:-2], atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(6, 7), (16, 16), (1, 3)])
def test_a_patch_lies_at_each_of_four_places_in_the_mosaic(height: int, width: int) -> None:
    image = np.arange(height * width)
    for place, (row, column) in enumerate(bayer.CELL):
        field = bayer.unpacked(image[bayer.places(height, width, 3)[place]])
        assert field.shape == (bayer.fielded(height, 3), bayer.fielded(width, 3))
        inner = field[3 + row : 3 + row + height, 3 + column : 3 + column + width]
        assert np.array_equal(inner, image.reshape(height, width))


def test_colors_are_undone_and_white_stays_white() -> None:
    light = np.random.default_rng(0).uniform(0.05, 0.8, (5, 3, 1, 8, 8)).astype(np.float32)
    camera = a_camera(5)
    raw, gains = unprocessing.sensed(light, camera, (0, 1, 2))
    assert np.allclose(unprocessing.developed(gains * raw, camera), light[:, :, 0], atol=1e-5)
    raw, _ = unprocessing.sensed(np.ones_like(light), camera, (0, 1, 2))
    assert np.allclose(raw, 1, atol=1e-6)
    assert np.allclose(camera.matrix @ camera.inverse, np.eye(3), atol=1e-5)


@pytest.mark.parametrize("light", [0.0, 0.05, 0.2])
def test_shot_and_read_noise_have_the_exact_variance_before_demosaicing(light: float) -> None:
    raw = np.full((1, 4, 200, 200), light, np.float32)
    gains = np.full((1, 4, 1, 1), 1.5, np.float32)
    normal = np.random.default_rng(0).standard_normal(raw.shape, dtype=np.float32)
    added = unprocessing.exposed(raw, gains, a_camera(shot=0.003, read=0.0002), normal) / 1.5
    variance = 0.003 * light + 0.0002
    assert abs(added.mean()) < 5 * np.sqrt(variance / added.size)
    assert added.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / added.size))


def test_a_sensor_clips_at_black_and_the_image_at_white() -> None:
    raw = np.array([0.01, 0.99], np.float32).reshape(1, 1, 1, 2)
    camera = a_camera()._replace(black=np.zeros((1, 1, 1, 1), np.float32))
    for sign, expected in ((-100, [-0.01, -0.99]), (100, [0.99, 0.01])):
        added = unprocessing.exposed(raw, np.ones((1, 1, 1, 1), np.float32), camera, np.full_like(raw, sign))
        assert np.allclose(added.ravel(), expected, atol=1e-6)


@pytest.mark.parametrize(("blur", "sharpness"), [(0.0, 0.0), (0.8, 0.0), (0.0, 0.4), (0.5, 0.2)])
def test_the_filter_keeps_the_mean_and_says_what_it_leaves_of_the_variance(blur: float, sharpness: float) -> None:
    taps = finishing.taps(*(np.full((1, 1, 1, 1), value, np.float32) for value in (blur, sharpness)))
    white = np.random.default_rng(0).standard_normal((1, 1, 406, 406)).astype(np.float32)
    made = finishing.filtered(white, taps)
    assert made.shape == (1, 1, 400, 400)
    assert np.allclose(finishing.filtered(np.ones_like(white), taps), 1, atol=1e-5)
    assert made.std() == pytest.approx(finishing.power(taps).item(), rel=0.02)
    if not blur and not sharpness:
        assert np.array_equal(made, white[..., 3:-3, 3:-3])


@pytest.mark.parametrize("quality", [60, 75, 90, 98])
def test_jpeg_loses_what_libjpeg_loses(quality: int) -> None:
    draw = np.random.default_rng(0)
    clean = np.clip(picture(1) + draw.normal(0, 10, (96, 128, 3)), 0, 255).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(clean).save(buffer, "JPEG", quality=quality, subsampling=2)
    expected = np.asarray(Image.open(buffer), np.float32)
    planes = clean.transpose(2, 0, 1)[None].astype(np.float32)
    for whole in (np.asarray, torch.from_numpy):
        made = finishing.compressed(whole(planes), whole(np.full((1, 1, 1, 1), quality, np.float32)))
        made = np.asarray(made)[0].transpose(1, 2, 0)
        assert np.array_equal(made, np.rint(made))
        # Where a coefficient lies between two steps, libjpeg's DCT of whole numbers may take the other one.
        assert np.sqrt(((made - expected) ** 2).mean()) < 1.5
        assert (made - clean).std() == pytest.approx((expected - clean).std(), rel=0.02)


@everywhere
def test_the_mean_of_gray_stays(drawn: Drawn) -> None:
    clean = flat(128)
    shift = (drawn(of(), clean) - clean).mean(axis=(0, 1, 2))
    assert np.abs(shift).max() < 0.3


@everywhere
def test_the_curve_shifts_the_mean_if_asked(drawn: Drawn) -> None:
    clean = flat(128, 300)
    shifts = [
        (drawn(of(**EVERY_CAMERA, shot=(0.005, 0.005), jpeg=0.0, mean_shift=kept), clean) - clean).mean(axis=(0, 1, 2))
        for kept in (False, True)
    ]
    assert np.abs(shifts[0]).max() < 0.3
    assert shifts[1].max() < -0.5


@everywhere
def test_noise_is_white_in_some_patches_and_much_correlated_in_others(drawn: Drawn) -> None:
    clean = flat(110, 300, 32)
    found = np.median(correlations(drawn(of(**EVERY_CAMERA, jpeg=0.0), clean) - clean), axis=1)
    low, middle, high = np.quantile(found, [0.1, 0.5, 0.9])
    assert low < 0.02
    assert 0.3 < middle < 0.7
    assert high > 0.6


@everywhere
def test_a_share_stays_clean(drawn: Drawn) -> None:
    clean = np.stack([picture(i, 24, 24) for i in range(400)]).astype(np.float32)
    untouched = (drawn(of(clean=0.3), clean) == clean).all(axis=(1, 2, 3))
    assert untouched.mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.3 * 0.7 / 400))
    assert np.array_equal(drawn(of(clean=1.0, gaussian=0.0), clean), clean)


@everywhere
def test_generic_noise_has_the_deviation_that_is_asked_for(drawn: Drawn) -> None:
    clean = flat(128, 200, 32)
    for resized in (0.0, 1.0):
        added = drawn(of(clean=0.0, gaussian=1.0, sigma=(20.0, 20.0), resized=resized), clean) - clean
        assert added.std() == pytest.approx(20, rel=0.02)
    assert correlations(added).max() > 0.5


def test_a_patch_gets_the_same_noise_in_any_batch_whatever_its_camera() -> None:
    clean = np.stack([picture(i, 17, 22) for i in range(60)]).astype(np.float32)
    whole = of().draw(clean, generators((0, "test", i) for i in range(60)))
    for part in (slice(0, 1), slice(1, 20), slice(20, 60)):
        draws = generators((0, "test", i) for i in range(60)[part])
        assert np.array_equal(of().draw(clean[part], draws), whole[part])


@pytest.mark.parametrize(
    "params",
    [
        EVERY_CAMERA | {"resized": 0.0, "sharpened": 0.0, "jpeg": 0.0},
        EVERY_CAMERA | {"resized": 1.0, "sharpened": 1.0, "jpeg": 0.0},
        EVERY_CAMERA | {"resized": 0.0, "jpeg": 1.0},
        EVERY_CAMERA | {"mean_shift": True},
        {"clean": 0.0, "gaussian": 1.0, "sigma": (20.0, 20.0)},
        {},
    ],
    ids=str,
)
def test_host_and_device_agree_in_distribution(params: dict[str, Any]) -> None:
    clean = np.stack([picture(i % 50, 24, 24) for i in range(800)]).astype(np.float32)
    noise = of(**{"shot": (0.004, 0.006)} | params)
    added = [drawn(noise, clean) - clean for drawn in (on_host, by_torch)]
    for measured in (deviations, correlations, lambda values: values.mean(axis=(1, 2))):
        one, other = (measured(values) for values in added)
        error = np.sqrt((one.var(axis=0) + other.var(axis=0)) / len(clean))
        assert np.all(np.abs(one.mean(axis=0) - other.mean(axis=0)) < 5 * error)
        assert np.allclose(one.std(axis=0), other.std(axis=0), rtol=0.2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (7, 2), (33, 40)])
@everywhere
def test_images_of_any_size_are_drawn(drawn: Drawn, shape: tuple[int, int]) -> None:
    clean = np.random.default_rng(0).uniform(0, 255, (30, *shape, 3)).astype(np.float32)
    noisy = drawn(of(), clean)
    assert noisy.shape == clean.shape
    assert noisy.dtype == np.float32
    assert np.isfinite(noisy).all()


def test_shares_that_exceed_the_whole_are_refused() -> None:
    with pytest.raises(ValueError, match="exceeds 1"):
        of(clean=0.6, gaussian=0.6)


@pytest.mark.skipif(not PAIRS.is_file(), reason="needs DEGRAIN_MIRROR with SIDD's native crops")
@pytest.mark.parametrize("name", ["00", "01", "02", "03", "04", "05", "06", "07"])
def test_the_noise_of_real_phones_lies_within_the_range(name: str) -> None:
    with zipfile.ZipFile(PAIRS) as archive:
        clean, noisy = (
            np.asarray(Image.open(io.BytesIO(archive.read(f"native/{side}/{name}.png"))).convert("RGB"), np.float32)
            for side in ("gt", "noisy")
        )
    draw = np.random.default_rng(0)
    corners = [tuple(draw.integers(side - 64, size=2)) for side in [min(clean.shape[:2])] * 80]
    clean, noisy = (np.stack([image[y : y + 64, x : x + 64] for y, x in corners]) for image in (clean, noisy))
    made = on_host(of(**EVERY_CAMERA), clean).clip(0, 255).round()
    dark = clean.mean(axis=(1, 2, 3)) <= np.median(clean.mean(axis=(1, 2, 3)))
    for chosen in (dark, ~dark):
        for measured in (deviations, correlations, between_colors):
            real, ours = (measured((images - clean)[chosen]) for images in (noisy, made))
            least, most = np.quantile(ours, [0.03, 0.97], axis=0)
            assert np.all(least < np.median(real, axis=0))
            assert np.all(np.median(real, axis=0) < most)
