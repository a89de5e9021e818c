"""Noise, metrics and classical denoisers, tried on a few random numbers before anything is computed with them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from degrain import catalogs
from degrain.baselines import tuning
from degrain.baselines.catalog import BASELINES
from degrain.catalogs import blaming, require_8_bits, require_finite, require_shape
from degrain.errors import ParamsError
from degrain.metrics.base import Metric
from degrain.metrics.catalog import METRICS
from degrain.noise.base import Noise
from degrain.pixels import read_only
from degrain.randomness import Draws, generators
from degrain.studies import noise_likeness

# Height of the images, by how much they are wider, in pixels, and how many there are.
HEIGHT, WIDER, COUNT = 16, 4, 2
# That images may have: gray, color, a packed Bayer mosaic.
CHANNELS = (3, 1, 4)


def check_noise(noise: Noise, channels: Iterable[int]) -> None:
    """Refuse noise that cannot be drawn, changes the shape of images, or makes pixels that are no finite numbers.

    Of noise that is also drawn in 8 bits, it refuses one that is another so, see `noise_likeness`.

    Args:
        noise: Kind and strength.
        channels: That the images may have; those that it does not accept are left out.

    Raises:
        ParamsError: It does not work; the message begins with its file.
    """
    file = catalogs.file_of(type(noise).__module__)
    for number in () if noise.paired else filter(noise.accepts, channels):
        clean, extreme = levels(number), extreme_levels(number)
        _check_drawn(file, noise.kind, noise.draw, (clean, extreme), require_finite)
        if noise.in_8_bits:
            in_8_bits = clean.astype(np.uint8), extreme.astype(np.uint8)
            _check_drawn(file, noise.kind, noise.draw_8_bits, in_8_bits, require_8_bits)
            noise_likeness.require_8_bits_alike(file, noise, number)


def _check_drawn(
    file: str,
    kind: str,
    draw: Callable[[np.ndarray, Draws], np.ndarray],
    batches: tuple[np.ndarray, np.ndarray],
    require: Callable[[str, str, np.ndarray], None],
) -> None:
    """Refuse what one way to draw noise makes of random patches and of extreme ones, see `check_noise`."""
    clean, extreme = map(read_only, batches)
    with blaming(file, kind), np.errstate(all="ignore"):
        noisy, again = (draw(clean, _draws(range(COUNT))) for _ in range(2))
        require_shape(file, kind, noisy.shape, clean.shape)
        last = draw(clean[-1:], _draws([COUNT - 1]))
        of_extreme = draw(extreme, _draws(range(len(extreme))))
        require_shape(file, kind, of_extreme.shape, extreme.shape)
    for made in (noisy, of_extreme):
        require(file, kind, made)
    if not (np.array_equal(noisy, again) and np.array_equal(noisy[-1:], last)):
        raise ParamsError(
            f"{file}: {kind} does not take the numbers of each patch from its generator alone, or not in turn"
        )


def levels(channels: int) -> np.ndarray:
    """Return patches of random numbers, float32 (COUNT, H, W, C) in 8-bit levels."""
    return (255 * _random(channels)).astype(np.float32)


def extreme_levels(channels: int) -> np.ndarray:
    """Return patches with exact black and white, alone and side by side, and a gray one, as `levels` does."""
    mixed = np.where(_random(channels)[:1] < 0.5, 0, 255)
    flat = [np.full_like(mixed, level) for level in (0, 255, 128)]
    return np.concatenate([mixed, *flat]).astype(np.float32)


def _draws(patches: Iterable[int]) -> Draws:
    return generators((0, "probe", patch) for patch in patches)


# NOTE: a metric's function need not be hashable.
_checked: list[Metric] = []


def check_metrics() -> None:
    """Refuse metrics that cannot be measured, or that do not give each image of any kind a finite number of its own.

    Raises:
        ParamsError: One does not work; the message begins with its file.
    """
    for metric in METRICS.values():
        # Once in a process, since no study changes what it is.
        if not any(metric is one for one in _checked):
            _check_metric(metric)
            _checked.append(metric)


def _check_metric(metric: Metric) -> None:
    file = catalogs.file_of_function(metric.measure)
    height = max(HEIGHT, metric.smallest)
    for what, images, clean in itertools.chain.from_iterable(_pairs(height, channels) for channels in CHANNELS):
        with np.errstate(all="ignore"):
            values = metric.values(images, clean)
            alone = [metric.values(images[one : one + 1], clean[one : one + 1])[0] for one in range(COUNT)]
        for value in values[~np.isfinite(values)]:
            raise ParamsError(f"{file}: {metric.name} is {value} for {what}, and must be a finite number")
        if not np.allclose(values, alone, rtol=1e-9, atol=1e-12):
            raise ParamsError(f"{file}: {metric.name} gives {what} other numbers together than alone")


def _pairs(height: int, channels: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield what is measured and what it is compared with, of 8 and 16 bits, by words for the pair."""
    for dtype in (np.uint8, np.uint16):
        white, bits = np.iinfo(dtype).max, 8 * np.dtype(dtype).itemsize
        one, other = ((white * _random(channels, height, seed)).astype(dtype) for seed in (0, 1))
        black, light = np.zeros_like(one), np.full_like(one, white)
        # A metric must leave them to the next one.
        one, other, black, light = map(read_only, (one, other, black, light))
        yield f"images of {bits} bits", one, other
        yield f"equal images of {bits} bits", one, one
        yield f"flat clean images of {bits} bits", one, black
        yield f"flat images of {bits} bits", light, one
        yield f"flat and equal images of {bits} bits", black, black
        yield f"white and black images of {bits} bits", light, black


def check_baselines(names: Iterable[str], channels: int) -> None:
    """Refuse classical denoisers that do not run with each of their candidates, twice with the same result.

    Args:
        names: Of the catalog.
        channels: Of the images.

    Raises:
        ParamsError: One does not work; the message begins with its file.
    """
    noisy = _random(channels)[0].astype(np.float32)
    for name in names:
        baseline = BASELINES[name]
        first = {key: values[0] for key, values in baseline.candidates.items()}
        for key, values in baseline.candidates.items():
            for value in values:
                once, again = (tuning.denoised(baseline, noisy.copy(), 0.1, first | {key: value}) for _ in range(2))
                if not np.array_equal(once, again):
                    file = catalogs.file_of_function(baseline.denoise)
                    raise ParamsError(
                        f"{file}: {name} with {key}={value} makes something else of an image when asked again; give "
                        "the generator of its random numbers a seed"
                    )


def _random(channels: int, height: int = HEIGHT, seed: int = 0) -> np.ndarray:
    images = np.random.default_rng(seed).random((COUNT, height, height + WIDER, channels))
    images[-1] = 0.25 + images[-1] / 2  # its extremes are not those of the others
    return images
