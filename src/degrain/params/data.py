"""The sections `study`, `data` and `validate`: the question, the images, and what they must be like."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from degrain.params.base import Section


class StudyParams(Section):
    """Which question is asked."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Short name, as in `-S study=NAME`.")
    title: str = Field(description="One line for the head of the report.")


class DataParams(Section):
    """Which images."""

    dataset: str = Field(description="A data set of the catalog.")


class ValidateParams(Section):
    """What the images must be like before anything is computed from them."""

    min_images: int = Field(1, ge=1, description="At least this many images.")
    channels: list[Literal[1, 3]] = Field([3], min_length=1, description="Allowed numbers of channels.")
    min_side: int = Field(64, ge=1, description="Smallest width and height, in pixels.")
    min_std: float = Field(2.0, ge=0, description="Least standard deviation over an image, in 8-bit levels.")
    max_saturated: float = Field(0.5, ge=0, le=1, description="Largest share of values at 0 or at the maximum.")
    on_failure: Literal["stop", "quarantine"] = Field(
        "stop", description="`stop` ends the run with the images' names; `quarantine` goes on without them."
    )
