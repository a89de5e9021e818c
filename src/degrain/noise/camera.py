"""Noise of phones and cameras, each patch by one of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from degrain.noise import camera_drawing
from degrain.noise.base import CLIP, Noise
from degrain.randomness import Draws

if TYPE_CHECKING:
    from torch import Generator, Tensor

Share = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=1e-6, le=0.2)]
Levels = Annotated[float, Field(ge=0, le=255)]
Quality = Annotated[int, Field(ge=50, le=100)]


class CameraNoise(Noise):
    """Noise of photographs as phones and cameras make them, each patch by a random one, to train blind denoisers.

    The sRGB patch is taken back to the light on a sensor: a random exposure, white balance and color matrix are
    undone, and for a fifth of the patches a tone curve. Shot and read noise, both Gaussian, are added to its Bayer
    mosaic. The noise alone is demosaiced, for most patches about as Malvar, He, Cutler do it, for some almost
    bilinearly. It is developed to sRGB and added to the patch, so that the blur of demosaicing is no part of it. Then
    follows, each with a probability, what happens to photographs later: the noise is white or softened, as in a shrunk
    or an enlarged photograph, or sharpened, and the noisy patch is compressed by JPEG: by its DCT, quantization and
    halved chroma, without a file, on host and device alike.
    """

    source: ClassVar[str] = (
        'Brooks et al., "Unprocessing images for learned raw denoising", CVPR 2019 (the camera); Malvar, He, Cutler, '
        '"High-quality linear interpolation for demosaicing of Bayer-patterned color images", ICASSP 2004 (demosaicing)'
    )
    channels: ClassVar[tuple[int, ...]] = (3,)

    kind: Literal["camera"]
    shot: tuple[Beta, Beta] = Field(
        (1e-4, 0.025),
        description="Variance of shot noise per unit of light, white = 1, drawn evenly in its logarithm; SIDD's phones "
        "have 0.00047 to 0.022. Read noise follows it.",
    )
    clean: Share = Field(0.05, description="Share of patches that stay clean.")
    gaussian: Share = Field(0.15, description="Share of patches with Gaussian noise instead, white or softened.")
    sigma: tuple[Levels, Levels] = Field((0.0, 50.0), description="Deviation of Gaussian noise, in 8-bit levels.")
    resized: Share = Field(
        0.5,
        description="Share of the noisy patches whose noise is that of a resized photograph: half of them shrunk "
        "(white or nearly so), half enlarged (softened by a Gaussian of 0.5 to 1.2 pixels).",
    )
    sharpened: Share = Field(0.25, description="Share of the cameras' patches whose noise is sharpened.")
    jpeg: Share = Field(0.5, description="Share of the cameras' patches that are compressed by JPEG.")
    quality: tuple[Quality, Quality] = Field((70, 98), description="JPEG quality.")
    mean_shift: bool = Field(
        False,
        description="Keep the shift of the mean that noise gets from the bend of the sRGB curve and at black, as in "
        "photographs. How far and which way depends on the tone curve and on how dark it really was, which a network "
        "can only guess, and then it guesses brightness wrong. `false`: only clipping and JPEG shift it.",
    )
    clip: bool = Field(True, description=CLIP)

    def draw(self, clean: np.ndarray, draws: Draws) -> np.ndarray:
        """Return noisy patches, see `Noise`."""
        return camera_drawing.draw(self, clean, draws)

    def draw_on_device(self, clean: Tensor, draw: Generator) -> Tensor:
        """Return noisy patches, see `Noise`."""
        from degrain.noise import device_camera_drawing

        return device_camera_drawing.draw(self, clean, draw)

    @property
    def on_srgb(self) -> bool:
        """Whether the images are taken for sRGB: they are."""
        return True

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.clean + self.gaussian > 1:
            raise ValueError(f"clean and gaussian are shares of all patches: {self.clean} + {self.gaussian} exceeds 1")
        return self
