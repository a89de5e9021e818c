"""The sections `evaluate`, `report` and `register`: what is made of the trained models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from degrain.declaration import HOW, Section


class EvaluateParams(Section):
    """How the trained models are measured."""

    baselines: list[str] = Field(
        ["gaussian", "median", "bilateral", "wavelet", "nlm", "tv"],
        description="Classical denoisers to compare with; parameters are chosen on the validation split.",
    )
    sharpen: bool = Field(
        False, description="Measure the best trial of each network once more with its outputs sharpened (Bernier 2021)."
    )
    tile: int = Field(
        512,
        ge=16,
        le=16_384,
        description="Largest side of the tiles of a whole photograph, in pixels: smaller ones take less "
        "memory, and change results only by the rounding of float32. Networks that take one size only have tiles of "
        "that size.",
        json_schema_extra=HOW,
    )
    overlap: int = Field(
        32,
        ge=0,
        le=4096,
        description="Overlap of neighbouring tiles of networks that take one size only, in pixels; at most half of a "
        "tile is used.",
    )
    bootstrap: int = Field(2000, ge=100, le=1_000_000, description="Resamples behind each interval.")
    confidence: float = Field(0.95, gt=0, lt=1, description="Coverage of each interval.")

    @model_validator(mode="after")
    def _is_possible(self) -> EvaluateParams:
        twice = sorted({name for name in self.baselines if self.baselines.count(name) > 1})
        if twice:
            raise ValueError(f"baselines: {', '.join(twice)} is listed twice")
        return self


class ReportParams(Section):
    """What the report shows."""

    strips: int = Field(6, ge=1, le=24, description="Test patches shown for each model.")
    frames: int = Field(
        100,
        ge=0,
        le=1000,
        description="Frames of the way between the codes of three test patches, for networks that give a whole image "
        "one code (Bernier 2021, PyImageSearch 2020, dense networks); 0 is no animation.",
    )
    loss_scale: Literal["log", "linear"] = Field("log", description="Scale of the loss in learning curves.")
    published: str = Field(
        "",
        description="File of the mirror (DEGRAIN_MIRROR, a folder) with a paper's own curves, to be drawn under ours: "
        "JSON, by optimizer and loss; without the mirror they are left out.",
    )


class GateParams(Section):
    """What a trial must prove before it becomes the champion."""

    min_gain: float = Field(
        0.0, ge=0, le=100, description="dB by which it must beat the noisy input and each classical baseline."
    )
    min_sources: int = Field(
        6,
        ge=2,
        le=1_000_000,
        description="With so many test photographs or scenes, the lower end of the interval over their differences "
        "must be above min_gain; with fewer, their mean must be, and each of them be won.",
    )


class RegisterParams(Section):
    """Where the best model goes, and what it must prove first."""

    # NOTE: what each of MLflow's stores takes: 256 letters in a database, 255 in a folder.
    name: str = Field(
        max_length=255,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Experiment and registered model in MLflow.",
    )
    gate: GateParams = Field(default_factory=GateParams, description="What it must prove.")
