"""Texture that was taken for noise is given back; noise is not."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from degrain.errors import ModelError
from degrain.inference import texture
from degrain.inference.denoiser import Denoiser
from degrain.inference.recipe import Recipe
from degrain.ingest.formats.picture import Picture
from degrain.pixels import to_levels

SIDE = 256


def scene(sigma: float, contrast: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a noisy and a clean gray image: flat in its left half, a fine checkerboard in its right one."""
    random = np.random.default_rng(seed)
    clean = np.full((SIDE, SIDE, 1), 120.0)
    clean[:, SIDE // 2 :] += contrast * (np.indices((SIDE, SIDE // 2, 1)).sum(0) % 2 * 2 - 1)
    noisy = clean + random.normal(0, sigma, clean.shape)
    return tuple(np.clip(np.rint(one), 0, 255).astype(np.uint8) for one in (noisy, clean))  # type: ignore[return-value]


def smoothed(noisy: np.ndarray) -> np.ndarray:
    """What a denoiser makes that takes all that is fine for noise."""
    return cv2.GaussianBlur(noisy, (0, 0), 3).reshape(noisy.shape)


def error(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.square(to_levels(one) - to_levels(other)).mean()))


def test_texture_comes_back_and_noise_stays_away() -> None:
    noisy, clean = scene(sigma=6, contrast=20)
    made = smoothed(noisy)
    kept = made.copy()
    texture.give_back(noisy, kept)
    flat, rough = np.s_[:, 16 : SIDE // 2 - 16], np.s_[:, SIDE // 2 + 16 :]
    assert error(made[rough], clean[rough]) > 15
    assert error(kept[rough], clean[rough]) < error(noisy[rough], clean[rough]) * 1.1
    assert error(kept[flat], clean[flat]) < 0.3 * error(noisy[flat], clean[flat])


@pytest.mark.parametrize("levels", [2, 10, 40])
def test_noise_alone_is_not_given_back(levels: float) -> None:
    noisy, _ = scene(sigma=levels, contrast=0)
    made = smoothed(noisy)
    kept = made.copy()
    removed = texture.give_back(noisy, kept)
    assert error(kept, made) < 0.15 * levels
    assert removed * 255 == pytest.approx(error(noisy, made), rel=0.05)


def test_noise_may_be_stronger_where_it_is_brighter() -> None:
    random = np.random.default_rng(1)
    clean = np.broadcast_to(np.linspace(20, 200, SIDE)[:, None, None], (SIDE, SIDE, 3))
    noisy = np.clip(np.rint(clean + random.normal(size=clean.shape) * (1 + clean / 10)), 0, 255).astype(np.uint8)
    made = smoothed(noisy)
    kept = made.copy()
    texture.give_back(noisy, kept)
    assert error(kept[200:], made[200:]) < 0.2 * error(noisy[200:], made[200:])


@pytest.mark.parametrize("border", [0, 77, 255])
def test_borders_without_any_noise_do_not_count(border: int) -> None:
    noisy, _ = scene(sigma=10, contrast=0)
    noisy = np.pad(noisy, ((96, 96), (96, 96), (0, 0)), constant_values=border)
    made = noisy.copy()
    made[96:-96, 96:-96] = smoothed(noisy[96:-96, 96:-96])
    kept = made.copy()
    texture.give_back(noisy, kept)
    inside = np.s_[112:-112, 112:-112]
    assert error(kept[inside], made[inside]) < 0.15 * error(noisy[inside], made[inside])


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 300, 3), (300, 2, 1), (5, 5, 3), (33, 47, 3), (257, 31, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_any_size_and_depth(shape: tuple[int, ...], dtype: type) -> None:
    random = np.random.default_rng(2)
    noisy = random.integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)
    before, kept = noisy.copy(), (noisy // 2).astype(dtype)
    texture.give_back(noisy, kept)
    assert kept.shape == shape
    assert kept.dtype == dtype
    assert np.array_equal(noisy, before)
    low, high = np.minimum(noisy, noisy // 2), np.maximum(noisy, noisy // 2)
    assert ((kept >= low) & (kept <= high)).all(), "each pixel lies between what was and what was made"


def test_bands_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy, _ = scene(sigma=5, contrast=15)
    whole, banded = smoothed(noisy), smoothed(noisy)
    monkeypatch.setattr(texture, "BAND", 10_000 * texture.BLOCK)
    expected = texture.give_back(noisy, whole)
    monkeypatch.setattr(texture, "BAND", 3 * texture.BLOCK)
    assert texture.give_back(noisy, banded) == pytest.approx(expected, rel=1e-5)
    assert np.abs(whole.astype(int) - banded).max() <= 1
    assert (whole != banded).mean() < 0.001


def test_no_strength_leaves_the_image() -> None:
    noisy, _ = scene(sigma=5, contrast=15)
    kept = smoothed(noisy)
    assert texture.give_back(noisy, kept, strength=0) > 0, "noise was found"
    assert np.array_equal(kept, noisy)


def test_models_that_ship_keep_texture_and_say_how_much_they_removed() -> None:
    noisy, clean = scene(sigma=6, contrast=20)
    denoiser = Denoiser.ready("small")
    assert denoiser.keeps_texture
    alone = replace(denoiser, keeps_texture=False)
    made, plain = denoiser.image(noisy), alone.image(noisy)
    assert error(made, clean) < error(plain, clean)
    picture = Picture(noisy, "srgb", ".png")
    full = Recipe(denoiser, 128, 32).denoised(picture)
    assert np.array_equal(full.pixels, made)
    assert float(full.notes[0].split()[2]) == pytest.approx(error(noisy, made), abs=0.15), "but for rounding"
    half = Recipe(denoiser, 128, 32, strength=0.5).denoised(picture).pixels
    assert error(half, noisy) == pytest.approx(0.5 * error(made, noisy), rel=0.05)
    for strength in (0, 0.5):
        assert Recipe(denoiser, 128, 32, strength=strength).denoised(picture).notes == full.notes, "of full strength"


def test_others_do_not_ship() -> None:
    with pytest.raises(ModelError, match="bset does not come with degrain; there are best, small"):
        Denoiser.ready("bset")


@pytest.mark.parametrize("clean_part", ["gradient", "bar", "blurred"])
def test_a_part_without_noise_does_not_keep_the_rest_noisy(clean_part: str) -> None:
    noisy, _ = scene(sigma=20, contrast=0)
    smooth = np.linspace(60, 180, SIDE)[:, None, None] + np.zeros((SIDE, SIDE, 1))
    columns = {"gradient": SIDE // 2, "bar": 24, "blurred": 100}[clean_part]
    noisy[:, :columns] = (cv2.GaussianBlur(noisy, (0, 0), 8)[..., None] if clean_part == "blurred" else smooth)[
        :, :columns
    ]
    made = noisy.copy()
    made[:, columns:] = smoothed(noisy[:, columns:])
    kept = made.copy()
    texture.give_back(noisy, kept)
    assert error(kept, made) < 0.1 * error(noisy, made)
