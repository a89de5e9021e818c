"""The little in which NumPy and PyTorch differ, for arithmetic that is written once for arrays and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

# A NumPy array on the host, or a tensor on a device; a function returns the kind that it takes.
Array = Any


def empty(shape: tuple[int, ...], like: Array) -> Array:
    """Return an array or a tensor without content, of the type and on the device of another one."""
    return np.empty(shape, like.dtype) if isinstance(like, np.ndarray) else like.new_empty(shape)


def constant(values: np.ndarray, like: Array) -> Array:
    """Return values as an array or a tensor, of the type and on the device of another one."""
    return values.astype(like.dtype) if isinstance(like, np.ndarray) else like.new_tensor(values)


def whole(values: Array) -> Array:
    """Return numbers without their fractions, as indices."""
    return values.astype(np.intp) if isinstance(values, np.ndarray) else values.long()
