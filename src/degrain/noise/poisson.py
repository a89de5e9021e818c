"""Poisson numbers for whole batches.

`numpy.random.Generator.poisson` draws them one by one and takes several times as long.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from degrain.noise import alias

# From this mean on counts are drawn from an approximation.
MANY = 64
# Below it the distribution is tabulated for every mean that is a multiple of 1 / STEPS.
STEPS = 4
# A Poisson number of a mean below 1 / STEPS is larger with a probability of 1e-8.
MOST_REST = 6


def counts(mean: np.ndarray, bits: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Turn random numbers into Poisson numbers.

    Below a mean of 64 the distribution is exact, up to the 24 bits of `chance`: sums of Poisson numbers are Poisson, so
    the greatest multiple of 1/4 in the mean is drawn from a table, and the rest by inversion. From there on the count
    is a Gaussian number with the second term of the Cornish-Fisher expansion, for the skewness, rounded to an integer.
    Its mean and variance are exact, its third central moment is mean - 0.1 instead of the mean, and the total variation
    distance from the Poisson distribution is at most 0.0004.

    Args:
        mean: float32, not negative, of any shape.
        bits: uint32 of the same shape, 32 random bits for each.
        chance: float32 of the same shape, spread evenly over [0, 1).

    Returns:
        float32 of the same shape, integers.

    Source: Cornish, Fisher, "Moments and cumulants in the specification of distributions", Revue de l'Institut
    International de Statistique 5(4), 1938; Box, Muller, "A note on the generation of random normal deviates", Annals
    of Mathematical Statistics 29(2), 1958 (the Gaussian number).
    """
    few = mean < MANY
    if few.all():
        return _few(mean, bits, chance)
    return np.where(few, _few(np.minimum(mean, MANY), bits, chance), _many(np.maximum(mean, MANY), bits, chance))


def _few(mean: np.ndarray, bits: np.ndarray, chance: np.ndarray) -> np.ndarray:
    rows = (mean * STEPS).astype(np.int32)
    rest = mean - rows.astype(np.float32) / STEPS
    counted = alias.draw(_table(), rows, bits).astype(np.float32)
    probability = np.exp(-rest)
    cumulative = probability.copy()
    for count in range(1, MOST_REST + 1):
        counted += chance >= cumulative
        probability *= rest / count
        cumulative += probability
    return counted


def _many(mean: np.ndarray, bits: np.ndarray, chance: np.ndarray) -> np.ndarray:
    # NOTE: the expansion adds 1/18 to the variance, and rounding 1/12.
    sigma = np.sqrt(mean - np.float32(5 / 36))
    normal = np.sqrt(-2 * np.log1p(-chance)) * np.cos(bits.astype(np.float32) * np.float32(2 * np.pi / 2**32))
    count: np.ndarray = np.rint(mean + sigma * normal + (normal * normal - 1) / 6)
    return count


@cache
def _table() -> np.ndarray:
    """Return the distributions of counts of means 0, 1/4, ..., 64, for `alias.draw`."""
    cumulative = probabilities(np.arange(MANY * STEPS + 1) / STEPS, alias.VALUES).cumsum(axis=1)
    cumulative[:, -1] = 1
    return alias.table(cumulative)


def probabilities(means: np.ndarray, size: int) -> np.ndarray:
    """Return the probabilities of counts 0 to size - 1: float64 (means, size)."""
    from scipy.special import gammaln, xlogy

    counted = np.arange(size)
    exponents = xlogy(counted, means[:, None]) - means[:, None] - gammaln(counted + 1)
    exact: np.ndarray = np.exp(exponents)
    return exact
