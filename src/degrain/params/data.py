"""The sections `study`, `data` and `validate`: the question, the images, and what they must be like."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from degrain.declaration import Name, Section, Seed

# The standard deviation of values that are half black and half white, in 8-bit levels: none is larger.
MOST_STD = 127.5


def _in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("should be the least, then the most")
    return bounds


Column = Literal["source", "scene", "camera", "instance", "part"]


class StudyParams(Section):
    """Which question is asked."""

    name: str = Field(max_length=64, pattern=r"^[a-z0-9][a-z0-9-]*$", description="Short name, as in `-S study=NAME`.")
    title: str = Field(description="One line for the head of the report.")


class DataParams(Section):
    """Which images."""

    dataset: str = Field(description="A data set of the catalog (`degrain datasets`).")
    path: str = Field(
        "",
        description="Folder of your own images, for the data sets `folder` and `pairs`; a relative one belongs to the "
        "project's folder.",
    )
    labels: list[Name] = Field([], description="Only these classes of the data set; all if empty.")
    only: dict[Column, list[Name]] = Field(
        {}, description="Only images with one of these values in a column of the manifest, as in `{camera: [IP]}`."
    )
    limit: int = Field(
        0,
        ge=0,
        le=10**9,
        description="Only so many images or pairs, drawn evenly over classes, scenes and parts; 0 is all.",
    )
    seed: Seed = Field(0, description="Seed of that draw.")
    raw: Literal["srgb", "linear", "bayer"] = Field(
        "linear",
        description="What camera raw files become: `srgb` as a camera shows them, `linear` demosaiced linear light, "
        "`bayer` the mosaic packed into four channels R, G, G, B of half the size.",
    )
    white: int | None = Field(
        None,
        ge=1,
        le=2**32 - 1,
        description="The value of white in image files of more than 8 bits, such as 4095 where a camera or scanner put "
        "12 bits into 16; the format's own if absent.",
    )


class ValidateParams(Section):
    """What the images must be like before anything is computed from them; what is absent is the data set's own rule."""

    partial: bool = Field(
        False, description="The data may be a part of what was published: fewer images per class or scene will do."
    )
    min_images: int = Field(1, ge=1, le=10**9, description="At least this many images or pairs.")
    channels: list[Literal[1, 3, 4]] | None = Field(None, min_length=1, description="Allowed numbers of channels.")
    min_side: int | None = Field(None, ge=1, le=10**6, description="Smallest width and height, in pixels.")
    max_side: int | None = Field(None, ge=1, le=10**6, description="Largest width and height, in pixels.")
    min_std: float | None = Field(
        None, ge=0, le=MOST_STD, description="Least standard deviation over an image, in 8-bit levels."
    )
    max_saturated: float | None = Field(None, ge=0, le=1, description="Largest share of values at 0 or at the maximum.")
    psnr: Annotated[tuple[float, float], AfterValidator(_in_order)] | None = Field(
        None, description="Pairs: least and most PSNR of the noisy against the clean image, in dB."
    )
    min_correlation: float | None = Field(
        None, ge=-1, le=1, description="Pairs: least correlation of the two images at low resolution: the same scene."
    )
    allow: list[str] = Field(
        [], description="Expectations, by name as in validation.json, whose failure is only reported."
    )
    on_failure: Literal["stop", "quarantine"] = Field(
        "stop", description="`stop` ends the run with the images' names; `quarantine` goes on without them."
    )
