"""The distribution of what a sensor makes of each 8-bit level, in tables from which whole batches are drawn."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from degrain.noise import alias, poisson, srgb

# From this mean on counts are taken to be Gaussian: their skewness, 1/64 or less, is lost.
MANY = 4096


@lru_cache(maxsize=16)
def table(beta1: tuple[float, ...], beta2: tuple[float, ...], linear: bool) -> np.ndarray:
    """Prepare the distributions of noisy levels for `alias.draw`.

    Args:
        beta1, beta2: See `sensors.expose`; one, or one for each channel.
        linear: Whether levels are sRGB and are taken to linear light and back; else they are linear light.

    Returns:
        uint32, see `alias.table`: a row for each of the 256 clean levels, for one channel after the other.
    """
    channels = zip(*np.broadcast_arrays(beta1, beta2), strict=True)
    return alias.table(np.concatenate([cumulative(one, two, linear) for one, two in channels]))


def cumulative(beta1: float, beta2: float, linear: bool) -> np.ndarray:
    """Compute the distribution of the noisy level, clipped and rounded, for each clean one.

    It is the sum over Poisson counts of Gaussians around them. Where 4096 counts or more are expected, it is one
    Gaussian of the same mean and variance.

    Args:
        beta1, beta2, linear: See `table`, of one channel.

    Returns:
        float64 (256, 256): in row i and column j the probability that level i becomes at most j.
    """
    light, limits = (_light(levels, linear) for levels in (np.arange(256), np.arange(255) + 0.5))
    reached = np.ones((256, 256))
    reached[:, :-1] = _below(limits, light, beta1 * light + beta2)
    few = light < MANY * beta1
    if few.any():
        mean = light[few] / beta1
        most = mean.max()
        counts = poisson.probabilities(mean, int(most + 9 * most**0.5 + 30))
        reached[few, :-1] = counts @ _below(limits, beta1 * np.arange(counts.shape[1]), beta2)
    return np.maximum.accumulate(np.minimum(reached, 1), axis=1)


def _light(levels: np.ndarray, linear: bool) -> np.ndarray:
    """Return the light of levels, float64; more than that of j + 0.5 is rounded to j + 1 or more."""
    values = levels / 255
    return srgb.to_linear(values).astype(np.float64) if linear else values


def _below(limits: np.ndarray, mean: np.ndarray, variance: np.ndarray | float) -> np.ndarray:
    """Return the probabilities that Gaussian numbers are below limits: float64 (means, limits)."""
    from scipy.special import ndtr

    sigma = np.maximum(np.sqrt(np.broadcast_to(variance, mean.shape)), 1e-12)
    below: np.ndarray = ndtr((limits - mean[:, None]) / sigma[:, None])
    return below
