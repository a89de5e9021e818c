"""The classical denoisers that every network has to beat, and the choice of their parameters.

Strengths are given as multiples of the noise's standard deviation, which is measured on the validation split.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy import ndimage

from degrain.errors import ParamsError, nearest
from degrain.machine import compute
from degrain.metrics import catalog as metrics
from degrain.pixels import depth, from_unit, to_unit

# From (noisy float32 (H, W, C) in [0, 1], sigma of the noise in the same units, parameters) to the denoised image.
Filter = Callable[[np.ndarray, float, Mapping[str, Any]], np.ndarray]

# Least standard deviation of the noise, in 8-bit levels, which changes no 16-bit level: some filters divide by it.
FAINTEST = 1e-3


@dataclass(frozen=True)
class Baseline:
    """One classical denoiser.

    Attributes:
        title: For tables.
        source: Paper.
        filter: The denoiser.
        candidates: Values tried for each parameter.
    """

    title: str
    source: str
    filter: Filter
    candidates: Mapping[str, tuple[Any, ...]]


def _gaussian(noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:  # noqa: ARG001
    width = chosen["sigma_px"]
    return np.asarray(ndimage.gaussian_filter(noisy, (width, width, 0)))


def _median(noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:  # noqa: ARG001
    size = chosen["size_px"]
    return np.asarray(ndimage.median_filter(noisy, (size, size, 1)))


def _bilateral(noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:
    # NOTE: OpenCV takes one or three channels; a Bayer mosaic goes through plane by plane.
    planes = [noisy] if noisy.shape[2] in (1, 3) else np.split(noisy, noisy.shape[2], axis=2)
    return np.dstack(
        [
            cv2.bilateralFilter(np.ascontiguousarray(plane), 0, chosen["range"] * sigma, chosen["sigma_px"])
            for plane in planes
        ]
    )


def _wavelet(noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:
    from skimage.restoration import denoise_wavelet

    return np.asarray(
        denoise_wavelet(
            noisy,
            sigma=chosen["strength"] * sigma,
            method="BayesShrink",
            mode="soft",
            convert2ycbcr=noisy.shape[2] == 3,
            rescale_sigma=True,
            channel_axis=-1,
        )
    )


def _nlm(noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:
    from skimage.restoration import denoise_nl_means

    return np.asarray(
        denoise_nl_means(
            noisy,
            patch_size=chosen["patch_px"],
            patch_distance=7,
            h=chosen["strength"] * sigma,
            sigma=sigma,
            fast_mode=True,
            channel_axis=-1,
        )
    )


def _tv(noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:
    from skimage.restoration import denoise_tv_chambolle

    return np.asarray(denoise_tv_chambolle(noisy, weight=chosen["strength"] * sigma, channel_axis=-1))


BASELINES: dict[str, Baseline] = {
    "gaussian": Baseline("Gaussian filter", "linear", _gaussian, {"sigma_px": (0.6, 0.8, 1.0, 1.2, 1.5, 2.0)}),
    "median": Baseline("Median filter", "Tukey 1977", _median, {"size_px": (3, 5, 7)}),
    "bilateral": Baseline(
        "Bilateral filter",
        "Tomasi and Manduchi, ICCV 1998",
        _bilateral,
        {"range": (2.0, 3.0, 4.0, 5.0, 6.0), "sigma_px": (1.5, 2.0, 3.0, 4.0)},
    ),
    "wavelet": Baseline(
        "Wavelet, BayesShrink",
        "Chang, Yu, Vetterli, TIP 2000",
        _wavelet,
        {"strength": (0.5, 0.75, 1.0, 1.25)},
    ),
    "nlm": Baseline(
        "Non-local means",
        "Buades, Coll, Morel, CVPR 2005",
        _nlm,
        {"strength": (0.4, 0.6, 0.8), "patch_px": (3, 5, 7)},
    ),
    "tv": Baseline(
        "Total variation",
        "Chambolle 2004; Rudin, Osher, Fatemi 1992",
        _tv,
        {"strength": (0.6, 0.8, 1.0, 1.25)},
    ),
}


def check(names: Iterable[str]) -> None:
    """Refuse unknown baselines.

    Raises:
        ParamsError: One is unknown; the message has the nearest.
    """
    for name in names:
        if name not in BASELINES:
            raise ParamsError(f"evaluate.baselines: unknown baseline {name!r}{nearest(name, BASELINES)}")


def apply(name: str, noisy: np.ndarray, sigma: float, chosen: Mapping[str, Any]) -> np.ndarray:
    """Denoise images with a classical denoiser, all cores at once.

    Args:
        name: A name of `BASELINES`.
        noisy: (N, H, W, C) uint8, uint16, or float in 8-bit levels.
        sigma: Standard deviation of the noise, in 8-bit levels; 0 is taken for `FAINTEST`.
        chosen: A value for each of its parameters.

    Returns:
        uint8, or uint16 for uint16 input (N, H, W, C), by the metric protocol.
    """
    denoise = BASELINES[name].filter

    def one(image: np.ndarray) -> np.ndarray:
        denoised = denoise(to_unit(image), max(sigma, FAINTEST) / 255, chosen)
        # NOTE: some of them drop the channel axis of gray images.
        return from_unit(denoised.reshape(image.shape), depth(noisy))

    with ThreadPoolExecutor(compute.threads()) as pool:
        return np.stack(list(pool.map(one, noisy)))


def choose(name: str, noisy: np.ndarray, clean: np.ndarray, sigma: float) -> dict[str, Any]:
    """Choose a baseline's parameters: those with the best mean PSNR.

    Args:
        name: A name of `BASELINES`.
        noisy: Validation patches (N, H, W, C), uint8, uint16 or float in 8-bit levels.
        clean: uint8 or uint16, the same shape.
        sigma: Standard deviation of the noise, in 8-bit levels.

    Returns:
        A value for each parameter.
    """
    candidates = BASELINES[name].candidates
    settings = [dict(zip(candidates, values, strict=True)) for values in itertools.product(*candidates.values())]
    return max(settings, key=lambda chosen: float(metrics.psnr(apply(name, noisy, sigma, chosen), clean).mean()))
