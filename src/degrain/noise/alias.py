"""Random numbers of any distribution over 0 to 255, in constant time: the alias method.

Source: Walker, "An efficient method for generating discrete random variables with general distributions", ACM TOMS
3(3), 1977; Vose, "A linear algorithm for generating random numbers with a given distribution", IEEE TSE 17(9), 1991.
"""

from __future__ import annotations

import numpy as np

VALUES = 256
# Each value has a column of 2**24 of the 2**32 random numbers of 32 bits: those below a threshold give the value, the
# others its alias.
COLUMN = 1 << 24


def table(cumulative: np.ndarray) -> np.ndarray:
    """Prepare distributions for `draw`.

    Args:
        cumulative: float64 (rows, 256): a cumulative distribution function in each row; its last value is 1.

    Returns:
        uint32 (rows * 256,), read-only: for each column of each distribution the threshold (upper 24 bits) and the
        alias (lower 8). Cumulative probabilities are rounded to multiples of 2**-32.
    """
    reached = np.rint(cumulative * (COLUMN * VALUES)).astype(np.int64)
    thresholds, aliases = _columns(np.diff(reached, prepend=0))
    packed: np.ndarray = (thresholds << 8 | aliases).astype(np.uint32).ravel()
    packed.flags.writeable = False
    return packed


def _columns(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divide the random numbers among columns: the rarest value is topped up by the most frequent one, again and again.

    Args:
        numbers: int64 (rows, 256): how many of the 2**32 random numbers give each value; overwritten.

    Returns:
        Thresholds and aliases, both int64 (rows, 256).
    """
    thresholds, aliases = np.zeros_like(numbers), np.tile(np.arange(VALUES), (len(numbers), 1))
    while len(rows := np.flatnonzero(numbers.min(axis=1) < COLUMN)):
        least, most = numbers[rows].argmin(axis=1), numbers[rows].argmax(axis=1)
        thresholds[rows, least], aliases[rows, least] = numbers[rows, least], most
        numbers[rows, most] -= COLUMN - numbers[rows, least]
        numbers[rows, least] = COLUMN
    return thresholds, aliases


def draw(prepared: np.ndarray, rows: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Turn random bits into numbers of given distributions.

    Args:
        prepared: What `table` returned.
        rows: Which row of the table each number is distributed as; integers of any shape.
        bits: uint32 of the same shape, 32 random bits for each number.

    Returns:
        uint8 of the same shape.
    """
    column = bits.astype(np.uint8)
    places = rows.astype(np.intp) << 8
    places |= column
    entries = prepared.take(places)
    alias = entries.astype(np.uint8)
    kept = (bits | 255) < entries
    # NOTE: modulo 256 this is np.where(kept, column, alias), which takes ten times as long.
    chosen: np.ndarray = alias + (column - alias) * kept
    return chosen
