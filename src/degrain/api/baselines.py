"""Classical denoisers by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from degrain.api import images
from degrain.api.images import Given, ImageT
from degrain.baselines import catalog, tuning
from degrain.baselines.base import Baseline
from degrain.errors import ParamsError, nearest
from degrain.pixels import depth, to_levels, to_unit


def list_baselines() -> list[str]:
    """List the classical denoisers; `bm3d` needs its authors' package, which is installed apart.

    Examples:
        >>> import degrain
        >>> "nlm" in degrain.list_baselines()
        True
    """
    return sorted(catalog.BASELINES)


def denoise_baseline(image: ImageT, name: str = "nlm", *, sigma: float | None = None, **parameters: Any) -> ImageT:
    """Denoise images by a classical denoiser.

    Args:
        image: NumPy array (H, W), (H, W, C) or (N, H, W, C), or torch tensor (H, W), (C, H, W) or (N, C, H, W); uint8,
            uint16, or float with black 0 and white 1.
        name: Of `list_baselines`.
        sigma: Standard deviation of the noise in 8-bit levels (white = 255) whatever the dtype; of each image estimated
            from its finest wavelet coefficients if absent (Donoho and Johnstone, Biometrika 1994).
        parameters: Of this denoiser, such as `strength=0.6` for nlm, in units of sigma. One that is absent is the
            middle one of the candidates that `tune_baseline` tries.

    Returns:
        The same shape, dtype and device; values are clipped to black and white.

    Raises:
        DataError: It is no such image.
        ParamsError: There is no such denoiser or parameter (the message has the nearest name), its package is not
            installed, or it fails.

    Examples:
        >>> import numpy as np
        >>> import degrain
        >>> noisy = degrain.add_noise(np.full((32, 32), 0.5), sigma=25)
        >>> bool(degrain.denoise_baseline(noisy, "tv", sigma=25).std() < noisy.std() / 2)
        True
    """
    baseline = _baseline(name)
    for one in parameters:
        if one not in baseline.candidates:
            raise ParamsError(f"{name} has no parameter {one!r}{nearest(one, baseline.candidates)}")
    chosen = {key: values[len(values) // 2] for key, values in baseline.candidates.items()} | parameters
    given = images.of(image)
    return given.like(np.stack([_denoised(baseline, noisy, given, sigma, chosen) for noisy in given.pixels]))


def tune_baseline(noisy: ImageT, clean: ImageT, name: str = "nlm") -> dict[str, Any]:
    """Choose the parameters of a classical denoiser: those with the best mean PSNR on some images.

    Args:
        noisy: As of `denoise_baseline`; a batch to choose over several images.
        clean: The same shape, without the noise.
        name: Of `list_baselines`.

    Returns:
        A value for each parameter, and `sigma`: `denoise_baseline(image, name, **found)`.

    Raises:
        DataError: They are no such images, or of different shapes.
        ParamsError: There is no such denoiser, its package is not installed, or it fails.

    Examples:
        >>> import numpy as np
        >>> import degrain
        >>> clean = np.tile(np.linspace(0, 1, 32), (32, 1))
        >>> found = degrain.tune_baseline(degrain.add_noise(clean, sigma=10), clean, "gaussian")
        >>> sorted(found)
        ['sigma', 'sigma_px']
    """
    baseline = _baseline(name)
    one, other = images.of(noisy, "noisy image"), images.of(clean, "clean image")
    images.require_same_shape(one, other)
    truth = other.integers(depth(one.pixels))
    sigma = float((to_levels(one.pixels) - to_levels(truth)).std())
    return {**tuning.choose(baseline, one.pixels, truth, sigma), "sigma": sigma}


def _baseline(name: str) -> Baseline:
    try:
        catalog.check([name])
    except ParamsError as error:
        raise ParamsError(str(error).removeprefix("evaluate.baselines: ")) from None
    return catalog.BASELINES[name]


def _denoised(
    baseline: Baseline, noisy: np.ndarray, given: Given[Any], sigma: float | None, chosen: Mapping[str, Any]
) -> np.ndarray:
    unit = to_unit(noisy)
    deviation = _estimated(unit) if sigma is None else sigma / 255
    return given.rounded(tuning.denoised(baseline, unit, max(deviation, tuning.FAINTEST / 255), chosen))


def _estimated(unit: np.ndarray) -> float:
    from skimage.restoration import estimate_sigma

    found = float(estimate_sigma(unit, average_sigmas=True, channel_axis=-1))
    return found if np.isfinite(found) else 0.0
