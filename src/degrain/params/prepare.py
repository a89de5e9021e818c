"""The section `prepare`: patches, splits and noise."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from degrain.params.base import Section


class NoiseParams(Section):
    """Which noise is added to the clean images."""

    kind: Literal["gaussian"] = Field("gaussian", description="Kind of noise.")
    sigma: float = Field(25.0, ge=1, le=255, description="Standard deviation, in 8-bit levels.")
    clip: bool = Field(
        True,
        description="Clip the noisy image to [0, 255] and round it to 8 bits, as an image file holds it.",
    )


class SplitParams(Section):
    """Which sources are held out. Every other source is for training."""

    val: list[str] | float = Field(description="Sources by name, or the share of sources, for choosing models.")
    test: list[str] | float = Field(description="The same for the final measurement.")

    @model_validator(mode="after")
    def _is_possible(self) -> SplitParams:
        if isinstance(self.val, list) and isinstance(self.test, list):
            both = sorted(set(self.val) & set(self.test))
            if both:
                raise ValueError(f"{', '.join(both)} cannot be in val and in test")
        for share in (self.val, self.test):
            if isinstance(share, float) and not 0 < share < 1:
                raise ValueError("a share must lie between 0 and 1")
        return self


class PrepareParams(Section):
    """How patches are cut, held out and made noisy."""

    seed: int = Field(0, ge=0, description="Seed of splits by share and of the fixed noise.")
    patch_size: int = Field(64, ge=16, description="Side of the square patches, in pixels.")
    stride: int = Field(64, ge=1, description="Distance between neighbouring patches, in pixels.")
    min_std: float = Field(
        0.0,
        ge=0,
        description="Training patches with a smaller standard deviation (8-bit levels) are left out.",
    )
    split: SplitParams
    noise: NoiseParams = Field(default_factory=NoiseParams)
