"""Stateless randomness: every random number is a function of what it is for.

A generator is addressed by (seed, purpose, indices) instead of being drawn from a running state, so a resumed
run equals an uninterrupted one, and every trial of a grid sees the same data in the same order.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox).
"""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, purpose: str, *indices: int) -> np.random.Generator:
    """Return the random generator that belongs to one purpose and one place.

    Args:
        seed: The study's seed, any non-negative integer.
        purpose: What the numbers are for, such as "train noise"; purposes are independent of each other.
        indices: At most three non-negative integers below 2**64, such as (epoch, sample).

    Returns:
        A Philox generator whose stream of 2**64 blocks overlaps no other address of the same key.

    Raises:
        ValueError: More than three indices.
    """
    if len(indices) > 3:
        raise ValueError("at most three indices")
    digest = hashlib.blake2b(f"{seed}|{purpose}|{len(indices)}".encode(), digest_size=16).digest()
    key = np.frombuffer(digest, dtype="<u8")
    # NOTE: Philox counts up from the low word, so the low word is left to the stream itself.
    counter = np.array([0, *indices, *[0] * (3 - len(indices))], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(counter=counter, key=key))


def permutation_window(seed: int, purpose: str, size: int, start: int, count: int) -> np.ndarray:
    """Take a window out of an endless sequence of permutations of range(size).

    Every element appears once in each consecutive run of `size` positions, however short the windows are.

    Args:
        seed: The study's seed.
        purpose: What is being ordered.
        size: How many elements there are, at least 1.
        start: First position of the window in the endless sequence.
        count: Length of the window.

    Returns:
        int64 array of shape (count,) with values in [0, size).
    """
    first, last = start // size, (start + count - 1) // size
    passes = [generator(seed, purpose, turn).permutation(size) for turn in range(first, last + 1)]
    offset = start - first * size
    return np.concatenate(passes)[offset : offset + count]
