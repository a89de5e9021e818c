"""What a classical denoiser says of itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field

# What tables and pictures call other things: the noisy input, and what is beside a method's output.
RESERVED = frozenset({"identity", "clean", "noisy", "denoised"})
# What a parameter may be, so that records hold it as it is.
Value = bool | int | float | str
# From (noisy float32 (H, W, C) in [0, 1], sigma of the noise in the same units, parameters) to the denoised image.
Filter = Callable[[np.ndarray, float, Mapping[str, Any]], np.ndarray]


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError("the name stands for something else in tables and pictures; choose another")
    return name


def _recordable(value: object) -> object:
    if not isinstance(value, Value) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("should be a finite number, a text, true or false")
    return value


@dataclass(frozen=True)
class Baseline:
    """A classical denoiser, whose parameters are chosen on the validation split.

    To add one, write a file beside this one that ends in `BASELINE = Baseline(...)`, and name it in `catalog`. See
    docs/extending.md.

    Attributes:
        name: In params.yaml and in files; none of `RESERVED`.
        title: In tables.
        source: Paper.
        candidates: Values tried for each parameter: numbers, texts, true or false. Strengths are multiples of the
            noise's standard deviation.
        denoise: From a noisy image, float32 (H, W, C) in [0, 1] with 1, 3 or 4 channels, the standard deviation of its
            noise in the same units and a value for each parameter (read-only) to the denoised image: (H, W, C), or
            (H, W) of one channel. It is called by several threads at once, and always returns the same pixels.
        needs: The package that it imports, where degrain does not bring it along.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$"), AfterValidator(_not_reserved)]
    title: Annotated[str, Field(min_length=1)]
    source: str
    candidates: Annotated[
        Mapping[str, Annotated[tuple[Annotated[Value, BeforeValidator(_recordable)], ...], Field(min_length=1)]],
        Field(min_length=1),
    ]
    denoise: Filter
    needs: str = ""
