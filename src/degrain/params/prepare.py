"""The section `prepare`: patches, splits and noise."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from degrain.declaration import Name, Section, Seed
from degrain.noise.catalog import AnyNoise
from degrain.noise.gaussian import GaussianNoise
from degrain.params.data import MOST_STD
from degrain.pixels import MAX_PIXELS

Column = Literal["source", "scene", "camera", "instance", "label", "part"]
Share = Annotated[float, Field(gt=0, lt=1)]
HeldOut = Annotated[list[Name], Field(min_length=1)] | Share | Literal["published"]
Side = Annotated[int, Field(ge=8, le=65_535)]


class ResizeParams(Section):
    """A resize of every image before it is cut."""

    size: tuple[Side, Side] = Field(description="Width and height, in pixels; the aspect ratio is not kept.")
    method: Literal["area", "nearest", "linear", "cubic", "lanczos"] = Field(
        "area", description="OpenCV's interpolation; only `area` averages what it drops."
    )
    via: tuple[Side, Side] | None = Field(
        None, description="Width and height that every image gets before that, by the same method."
    )

    @model_validator(mode="after")
    def _is_possible(self) -> ResizeParams:
        for width, height in filter(None, (self.size, self.via)):
            if width * height > MAX_PIXELS:
                raise ValueError(f"{width} x {height} is more than {MAX_PIXELS // 1_000_000} million pixels")
        return self


class SplitParams(Section):
    """Which images are held out, before anything is cut or copied. Every other image is for training."""

    by: Column | Literal["copy"] = Field(
        "source",
        description="What is held out as a whole, a column of the manifest; `copy` (the noisy copies of one image "
        "spread over all sides) only with `published_leaky`.",
    )
    val: HeldOut | Literal["half_of_test"] = Field(
        description="For choosing models: names, the share of them to draw, `published`: the publisher's own part, or "
        "`half_of_test`, which leaves the whole published training part for training."
    )
    test: HeldOut = Field(description="The same for the final measurement.")
    apart: list[Column] = Field(
        [], description="Columns beside source, scene and `by` of which no value may be on two sides."
    )
    overlap: Literal["refuse", "drop"] = Field(
        "refuse",
        description="When a source, scene or duplicate is on two sides: `refuse` ends the run, `drop` leaves the "
        "images of the training side (then of val) out.",
    )
    published_leaky: bool = Field(
        False,
        description="Split as a paper did although the same source or scene is on two sides; the report says so. "
        "Only to repeat a published number.",
    )

    @model_validator(mode="after")
    def _is_possible(self) -> SplitParams:
        if isinstance(self.val, list) and isinstance(self.test, list):
            both = sorted(set(self.val) & set(self.test))
            if both:
                raise ValueError(f"{', '.join(both)} cannot be in val and in test")
        if isinstance(self.val, float) and isinstance(self.test, float) and self.val + self.test >= 1:
            raise ValueError(f"shares of {self.val:g} for val and {self.test:g} for test leave nothing for training")
        if self.val == "half_of_test" and isinstance(self.test, list) and len(self.test) < 2:
            raise ValueError("half_of_test needs a test side of several names, not one")
        if self.by == "copy" and not self.published_leaky:
            raise ValueError("by copy puts every image on all sides: say published_leaky: true if that is meant")
        if self.by == "copy" and not (isinstance(self.val, float) and isinstance(self.test, float)):
            raise ValueError("by copy needs shares for val and test")
        return self


class PrepareParams(Section):
    """How patches are cut, held out and made noisy."""

    seed: Seed = Field(0, description="Seed of splits by share, random crops and fixed noise.")
    color: Literal["keep", "gray", "rgb"] = Field("keep", description="Turn every image to gray or to RGB first.")
    bits: Literal[8, 16] = Field(8, description="Bits a channel of the store; 16 for camera raw data.")
    resize: ResizeParams | None = Field(None, description="Resize images before they are cut.")
    patch_size: int = Field(64, ge=16, le=4096, description="Side of the square patches, in pixels.")
    stride: int = Field(
        64, ge=1, le=65_535, description="Distance between neighbouring patches of the grid, in pixels."
    )
    crops: int = Field(
        0, ge=0, le=100_000, description="Random crops of each image instead of the grid; 0 is the grid."
    )
    shrink: Annotated[list[Annotated[int, Field(ge=1, le=64)]], Field(min_length=1)] = Field(
        [1],
        description="How many times smaller the sides of each image are made, by averaging, before it is cut: "
        "`[1, 2]` cuts it as it is, and once more at half its size, where its details are finer. "
        "Not with real noise, which averaging would weaken.",
    )
    min_std: float = Field(
        0.0,
        ge=0,
        le=MOST_STD,
        description="Training patches with a smaller standard deviation (8-bit levels) are left out.",
    )
    copies: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Noisy copies of each training patch, each with noise of its own that never changes; they take no "
        "space. 0: fresh noise in every epoch.",
    )
    whole_images: int = Field(
        8, ge=0, le=10_000, description="Test images larger than a patch that are kept whole, to be denoised in tiles."
    )
    split: SplitParams
    noise: AnyNoise = Field(default_factory=GaussianNoise)

    @model_validator(mode="after")
    def _is_possible(self) -> PrepareParams:
        if self.bits == 16 and not self.noise.clipped:
            raise ValueError("noise that is not clipped needs bits: 8")
        if self.split.by == "copy" and self.copies < 2:
            raise ValueError("split.by copy needs copies: 2 or more")
        if (self.noise.paired or self.noise.stand_in) and self.copies:
            raise ValueError(f"{self.noise.kind} noise is there once; copies must be 0")
        if self.noise.stand_in and self.patch_size % 2:
            raise ValueError(f"{self.noise.kind} noise needs an even patch_size, since patches are halved")
        if len(set(self.shrink)) != len(self.shrink):
            raise ValueError(f"shrink: {self.shrink} says a number twice")
        if self.shrink != [1] and (self.noise.paired or self.noise.stand_in):
            raise ValueError(f"shrink: {self.noise.kind} noise would become weaker; leave it at [1]")
        return self
