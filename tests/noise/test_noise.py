"""Every kind of noise against its closed-form moments."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from degrain.declaration import kind_of
from degrain.errors import ParamsError
from degrain.noise import adding, srgb
from degrain.noise.base import Noise
from degrain.noise.catalog import KINDS, AnyNoise
from degrain.randomness import generator, generators
from degrain.studies import array_probes, network_probes
from tests.conftest import picture

SIDE = 400
Noises = Callable[..., np.ndarray]


def parse(described: dict[str, Any]) -> Noise:
    adapter: TypeAdapter[Noise] = TypeAdapter(AnyNoise)
    return adapter.validate_python(described)


def on_host(params: Noise, image: np.ndarray) -> np.ndarray:
    return params.draw(image, [generator(0, "test")])


def by_torch(params: Noise, image: np.ndarray) -> np.ndarray:
    return params.draw_on_device(torch.from_numpy(image), torch.Generator().manual_seed(0)).numpy()


@pytest.fixture(params=[on_host, by_torch], ids=["host", "device"])
def noise(request: pytest.FixtureRequest) -> Noises:
    """What a kind adds to an image of one value (in 8-bit levels), float64, not clipped."""

    def drawn(clean: float, **params: Any) -> np.ndarray:
        image = np.full((1, SIDE, SIDE, 3), clean, np.float32)
        noisy = request.param(parse(params), image)
        assert noisy.dtype == np.float32
        return np.asarray(noisy[0], np.float64) - image[0]

    return drawn


def assert_moments(values: np.ndarray, mean: float, variance: float, third: float = 0.0, fourth: float = 3.0) -> None:
    """Mean, variance, third central moment and kurtosis, each within five standard errors of the closed form.

    The standard errors are those of a Gaussian of the same variance; that of a kurtosis above 3 is larger.
    """
    count, sigma = values.size, math.sqrt(variance)
    centered = values - mean
    assert abs(centered.mean()) < 5 * sigma / math.sqrt(count)
    assert abs((centered**2).mean() / variance - 1) < 5 * math.sqrt(max(fourth - 1, 1) / count)
    assert abs((centered**3).mean() - third) < 5 * sigma**3 * math.sqrt(max(15, 5 * fourth) / count)


def assert_independent(values: np.ndarray) -> None:
    limit = 5 / math.sqrt(values.size)
    for shifted, rest in (
        (values[:, 1:], values[:, :-1]),
        (values[1:], values[:-1]),
        (values[..., 1:], values[..., :-1]),
    ):
        assert abs(np.corrcoef(shifted.ravel(), rest.ravel())[0, 1]) < limit * 1.5


@pytest.mark.parametrize("sigma", [5.0, 25.0, 60.0])
def test_gaussian_noise(noise: Noises, sigma: float) -> None:
    values = noise(100, kind="gaussian", sigma=sigma)
    assert_moments(values, 0, sigma**2)
    assert abs((values**4).mean() / sigma**4 - 3) < 5 * math.sqrt(96 / values.size)
    assert_independent(values)


def test_gaussian_noise_by_its_variance_is_that_of_the_papers(noise: Noises) -> None:
    """Variance 550 on the scale of 0 to 255 is an MSE of 0.00846 for white = 1."""
    values = noise(100, kind="gaussian", variance=550)
    assert_moments(values, 0, 550)
    assert (values**2).mean() / 255**2 == pytest.approx(0.00846, rel=0.01)


@pytest.mark.parametrize("mean", [0.0, 0.5])
def test_coefficient_noise(noise: Noises, mean: float) -> None:
    values = noise(40, kind="coefficient", factor=0.5, mean=mean)
    assert_moments(values, 255 * mean, (0.5 * 255) ** 2)
    assert_independent(values)


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_masking_noise_blackens_whole_pixels(noise: Noises, share: float) -> None:
    values = noise(100, kind="masking", share=share) + 100
    black = values == 0
    assert set(np.unique(values)) == {0.0, 100.0}
    assert np.array_equal(black[..., 0], black[..., 1])
    pixels = black[..., 0]
    assert abs(pixels.mean() - share) < 5 * math.sqrt(share * (1 - share) / pixels.size)
    assert abs(np.corrcoef(pixels[:, 1:].ravel(), pixels[:, :-1].ravel())[0, 1]) < 5 / math.sqrt(pixels.size)


def test_salt_and_pepper_noise_is_half_of_each(noise: Noises) -> None:
    values = noise(100, kind="salt_and_pepper", share=0.2) + 100
    for value, share in ((0, 0.1), (255, 0.1), (100, 0.8)):
        assert abs((values == value).mean() - share) < 5 * math.sqrt(share * (1 - share) / values.size)


@pytest.mark.parametrize("clean", [20, 200])
def test_speckle_noise_grows_with_the_image(noise: Noises, clean: int) -> None:
    values = noise(clean, kind="speckle", sigma=0.2)
    assert_moments(values, 0, (0.2 * clean) ** 2)
    assert_independent(values)


@pytest.mark.parametrize("light", [0.0, 0.1, 0.6])
def test_shot_and_read_noise_in_linear_light(noise: Noises, light: float) -> None:
    """Variance beta1 x + beta2, third central moment beta1^2 x: a Poisson count scaled, and a Gaussian."""
    beta1, beta2 = 0.01, 0.0004
    values = noise(255 * light, kind="shot_read", beta1=beta1, beta2=beta2, linear=False) / 255
    variance = beta1 * light + beta2
    kurtosis = 3 + beta1**3 * light / variance**2
    assert_moments(values, 0, variance, beta1**2 * light, kurtosis)
    assert_independent(values)


def test_the_published_noise_level_functions_are_used_channel_by_channel(noise: Noises) -> None:
    values = noise(255 * 0.5, kind="shot_read", camera="IP-100", linear=False) / 255
    for channel, beta1 in enumerate((7.02e-4, 6.62e-4, 7.09e-4)):
        assert_moments(values[..., channel], 0, 0.5 * beta1 + 3.3e-6, 0.5 * beta1**2)


def test_noise_in_linear_light_of_srgb_images_follows_the_curve(noise: Noises) -> None:
    """To first order the deviation is that in linear light times the slope of the sRGB curve."""
    clean, beta1 = 140.0, 1e-4
    values = noise(clean, kind="shot_read", beta1=beta1)
    light = float(srgb.to_linear(np.array(clean / 255)))
    slope = 1.055 / 2.4 * light ** (1 / 2.4 - 1)
    assert values.std() / 255 == pytest.approx(math.sqrt(beta1 * light) * slope, rel=0.01)


def test_the_srgb_curve_is_undone() -> None:
    values = np.linspace(0, 1, 1001, dtype=np.float32)
    assert np.allclose(srgb.from_linear(srgb.to_linear(values)), values, atol=2e-6)


def test_iso_noise_is_random_within_the_range_of_colors() -> None:
    clean = np.broadcast_to(picture(0), (96, 128, 3))
    params = parse({"kind": "iso"})
    first, second = (adding.add(params, clean, generator(i, "test")) for i in (0, 1))
    assert first.shape == clean.shape
    assert first.dtype == np.uint8
    assert not np.array_equal(first, second)
    assert 1 < (first.astype(float) - clean).std() < 80


def test_jpeg_noise_is_what_pillow_makes_of_the_image() -> None:
    import io

    from PIL import Image

    clean = picture(1)
    buffer = io.BytesIO()
    Image.fromarray(clean).save(buffer, "JPEG", quality=20)
    expected = np.asarray(Image.open(buffer), float)
    noisy = adding.add(parse({"kind": "jpeg", "quality": 20}), clean, generator(0, "test"))
    assert np.abs(noisy - expected).max() <= 1
    coarse = adding.add(parse({"kind": "jpeg", "quality": 5}), clean, generator(0, "test"))
    assert ((coarse.astype(float) - clean) ** 2).mean() > ((expected - clean) ** 2).mean()


def test_a_range_of_strengths_draws_another_for_each_patch() -> None:
    params = parse({"kind": "gaussian", "sigma": [5, 50], "clip": False})
    clean = np.full((64, 64, 3), 128, np.uint8)
    stds = np.array([(adding.add(params, clean, generator(0, "test", i)) - 128.0).std() for i in range(300)])
    assert 4.8 < stds.min() < 8
    assert 47 < stds.max() < 51.5
    assert stds.mean() == pytest.approx(27.5, abs=5 * 45 / math.sqrt(12 * 300))


# What a kind must be given beside its name.
NEEDED: dict[str, dict[str, Any]] = {"shot_read": {"camera": "GP-6400"}}
ALL: list[dict[str, Any]] = [{"kind": name} | NEEDED.get(name, {}) for _, name in filter(None, map(kind_of, KINDS))]
# Those that draw something.
EVERY_KIND = [params for params in ALL if params["kind"] not in ("real", "unknown", "none")]
every_declared_kind = pytest.mark.parametrize("params", ALL, ids=lambda params: params["kind"])


@pytest.mark.parametrize("params", EVERY_KIND, ids=lambda params: params["kind"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_generator_decides_the_noise_and_the_clean_image_stays(params: dict[str, Any], dtype: type) -> None:
    clean = picture(0).astype(dtype) * (1 if dtype == np.uint8 else 257)
    before = clean.copy()
    parsed = parse(params)
    first = adding.add(parsed, clean, generator(1, "n", 2))
    assert first.dtype == dtype
    assert first.shape == clean.shape
    assert np.array_equal(first, adding.add(parsed, clean, generator(1, "n", 2)))
    assert not np.array_equal(first, adding.add(parsed, clean, generator(1, "n", 3)))
    assert np.array_equal(clean, before)


def test_sixteen_bits_get_the_same_noise_with_finer_steps() -> None:
    params = parse({"kind": "gaussian", "sigma": 25})
    clean = picture(0)
    coarse = adding.add(params, clean, generator(0, "test")).astype(float)
    fine = adding.add(params, clean.astype(np.uint16) * np.uint16(257), generator(0, "test")) / 257
    assert np.abs(coarse - fine).max() <= 0.5 + 1e-6


def test_clipped_noise_is_what_an_image_file_holds() -> None:
    clean = np.zeros((300, 300, 1), np.uint8)
    noisy = adding.add(parse({"kind": "gaussian", "sigma": 20}), clean, generator(0, "test"))
    assert noisy.dtype == np.uint8
    # Half of the values are cut off at black; the mean of the rest of a Gaussian is sigma / sqrt(2 pi).
    assert abs(np.mean(noisy == 0) - 0.51) < 0.01
    assert noisy.mean() == pytest.approx(20 / math.sqrt(2 * math.pi), rel=0.02)


@pytest.mark.parametrize(
    ("params", "digest"),
    [
        ({"kind": "gaussian", "sigma": 25}, "5a61a3df3a393044"),
        ({"kind": "gaussian", "sigma": [5, 50], "clip": False}, "16e1e738d4fb31df"),
        ({"kind": "coefficient", "factor": [0.1, 0.5], "mean": 0.5}, "c7add448a3dbed86"),
        ({"kind": "masking"}, "01ce6cf90e24cdb1"),
        ({"kind": "salt_and_pepper", "share": [0.02, 0.3]}, "380a44481cf08a0a"),
        ({"kind": "speckle", "sigma": [0.1, 0.4]}, "ac6d1faa7b986f9a"),
        ({"kind": "shot_read", "camera": "GP-6400"}, "1bbcdeb4d0006b87"),
        (
            {"kind": "shot_read", "beta1": [0.01, 0, 0.02], "beta2": [1e-3, 0, 2e-3], "linear": False, "clip": False},
            "46d7d60748872237",
        ),
        ({"kind": "camera", "clean": 0}, "090959c655b12cac"),
        ({"kind": "iso"}, "cd7d5bb87c63b81d"),
        ({"kind": "jpeg"}, "01d38ee7a88dc15c"),
    ],
    ids=str,
)
def test_an_address_gives_the_same_pixels_in_every_version(params: dict[str, Any], digest: str) -> None:
    """Digests of version 0.1.0, with the libraries of constraints.txt; prepared data and results hang on them."""
    clean = [picture(i, 16, 16) for i in range(3)]
    drawn = [adding.add(parse(params), image, generator(3, "pin", 7, i)) for i, image in enumerate(clean)]
    assert hashlib.sha256(np.stack(drawn).tobytes()).hexdigest()[:16] == digest


@pytest.mark.parametrize("params", EVERY_KIND, ids=lambda params: params["kind"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("chunk", [1, 2500, 1 << 20])
def test_a_patch_gets_the_same_noise_in_any_batch(
    params: dict[str, Any], dtype: type, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adding, "CHUNK_VALUES", chunk)
    clean = np.stack([picture(i, 20, 20) for i in range(7)]).astype(dtype) * (1 if dtype == np.uint8 else 257)
    parsed = parse(params)
    alone = [adding.add(parsed, patch, generator(1, "n", 2, i)) for i, patch in enumerate(clean)]
    for part in (slice(0, 7), slice(0, 3), slice(3, 7), slice(4, 4)):
        draws = generators((1, "n", 2, i) for i in range(7)[part])
        together = adding.add_each(parsed, clean[part], draws)
        assert together.dtype == dtype
        assert np.array_equal(together, np.stack(alone)[part])


@pytest.mark.parametrize("kind", ["gaussian", "speckle", "coefficient", "masking", "salt_and_pepper"])
def test_each_patch_of_a_batch_draws_its_own_strength(kind: str) -> None:
    strength = {"coefficient": "factor", "masking": "share", "salt_and_pepper": "share"}.get(kind, "sigma")
    params = parse({"kind": kind, strength: [0.1, 0.9]})
    clean = np.full((6, 32, 32, 1), 128, np.uint8)
    alone = [adding.add(params, patch, generator(1, "n", i)) for i, patch in enumerate(clean)]
    assert np.array_equal(adding.add_each(params, clean, generators((1, "n", i) for i in range(6))), alone)


def test_a_batch_needs_a_generator_for_each_patch() -> None:
    params = parse({"kind": "gaussian", "sigma": 25})
    clean = np.full((3, 16, 16, 1), 128, np.uint8)
    with pytest.raises(ParamsError, match="shorter"):
        adding.add_each(params, clean, generators((0, "n", i) for i in range(2)))


def test_fixed_noise_belongs_to_image_place_and_copy() -> None:
    params = parse({"kind": "gaussian", "sigma": 25})
    clean = np.full((4, 16, 16, 1), 128, np.uint8)
    addresses: tuple[list[str], list[int], list[int]] = (["a", "b", "a", "a"], [0, 0, 1, 0], [0, 0, 0, 1])
    drawn = [adding.add_each(params, clean, adding.fixed(seed, *addresses)) for seed in (0, 1, 0)]
    assert len({patch.tobytes() for patches in drawn[:2] for patch in patches}) == 8
    assert np.array_equal(drawn[0], drawn[2])
    assert np.array_equal(drawn[0][2], adding.add(params, clean[0], generator(0, "noise of a", 1, 0)))


@pytest.mark.parametrize("params", EVERY_KIND, ids=lambda params: params["kind"])
def test_a_device_draws_what_does_not_need_albumentations(params: dict[str, Any]) -> None:
    parsed = parse(params)
    assert parsed.on_device == (params["kind"] not in ("iso", "jpeg"))
    if not parsed.on_device:
        with pytest.raises(TypeError, match="not drawn on a device"):
            by_torch(parsed, np.zeros((1, 8, 8, 3), np.float32))


def test_on_a_device_each_patch_draws_its_own_strength() -> None:
    params = parse({"kind": "gaussian", "sigma": [5, 50]})
    clean = torch.full((300, 64, 64, 3), 128.0)
    stds = params.draw_on_device(clean, torch.Generator().manual_seed(0)).std(dim=(1, 2, 3))
    assert 4.8 < stds.min() < 8
    assert 47 < stds.max() < 51.5
    assert stds.mean().item() == pytest.approx(27.5, abs=5 * 45 / math.sqrt(12 * 300))


@pytest.mark.parametrize("kind", ["none", "unknown"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_where_nothing_is_added_the_image_stays(dtype: type, kind: str) -> None:
    params = parse({"kind": kind})
    levels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(1, 16, -1, 1)
    noisy = adding.add_each(params, levels, [generator(0, "test")])
    assert noisy.dtype == dtype
    assert np.array_equal(noisy, levels)
    clean = levels.astype(np.float32)
    for drawn in (on_host(params, clean), by_torch(params, clean)):
        assert np.array_equal(drawn, clean)
        assert not np.shares_memory(drawn, clean)


@every_declared_kind
def test_every_kind_passes_the_check(params: dict[str, Any]) -> None:
    array_probes.check_noise(parse(params), array_probes.CHANNELS)
    network_probes.check_device_noise(parse(params), array_probes.CHANNELS)


def test_real_noise_cannot_be_drawn() -> None:
    with pytest.raises(ParamsError, match="cannot be drawn"):
        adding.add(parse({"kind": "real"}), picture(0), generator(0, "test"))


@every_declared_kind
def test_every_kind_is_described_and_accepts_the_images_it_names(params: dict[str, Any]) -> None:
    declared = next(kind for kind in KINDS if kind_of(kind) == ("kind", params["kind"]))
    noise = parse(params)
    assert type(noise) is declared
    assert declared.__doc__
    assert all(field.description for name, field in declared.model_fields.items() if name != "kind")
    for channels in (1, 3, 4):
        if noise.paired or not noise.accepts(channels):
            continue
        clean = np.stack([np.resize(picture(i, 16, 16), (16, 16, channels)) for i in range(3)])
        made = adding.add_each(noise, clean, generators((0, "n", i) for i in range(3)))
        assert made.shape == clean.shape
        assert np.isfinite(made).all()


@pytest.mark.parametrize(
    ("params", "channels"),
    [
        ({"kind": "iso"}, {3}),
        ({"kind": "camera"}, {3}),
        ({"kind": "jpeg"}, {1, 3}),
        ({"kind": "gaussian"}, {1, 3, 4}),
        ({"kind": "shot_read", "camera": "IP-100"}, {3}),
        ({"kind": "shot_read", "beta1": 0.1, "beta2": [0, 0, 0.1]}, {3}),
        ({"kind": "shot_read", "camera": "GP-800"}, {1, 3, 4}),
    ],
    ids=str,
)
def test_a_kind_says_what_images_it_accepts(params: dict[str, Any], channels: set[int]) -> None:
    assert {count for count in (1, 3, 4) if parse(params).accepts(count)} == channels
