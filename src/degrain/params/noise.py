"""The kinds of noise that `prepare.noise` may ask for.

A strength may be one number or a range `[least, most]`: each patch then draws its own, evenly, and the model is blind
to it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from degrain.declaration import Section

Span = tuple[float, float]
Levels = Annotated[float, Field(gt=0, le=255)]
Share = Annotated[float, Field(gt=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=10)]
Quality = Annotated[int, Field(ge=1, le=100)]
Beta = Annotated[float, Field(ge=0, le=1)]

CLIP = "Clip the noisy image to black and white and round it to the store's depth, as an image file holds it."


class Noise(Section):
    """What all kinds of noise have in common."""

    @model_validator(mode="after")
    def _ranges_rise(self) -> Self:
        for name, value in self:
            if isinstance(value, tuple) and len(value) == 2 and value[0] > value[1]:
                raise ValueError(f"{name}: a range is [least, most], not {list(value)}")
        return self

    @property
    def clipped(self) -> bool:
        """Whether noisy images are clipped and rounded."""
        return bool(getattr(self, "clip", True))


class GaussianNoise(Noise):
    """Independent zero-mean Gaussian noise: `noisy = clean + N(0, sigma)`."""

    kind: Literal["gaussian"] = "gaussian"
    sigma: Levels | tuple[Levels, Levels] | None = Field(
        None, description="Standard deviation, in 8-bit levels; 25 if neither it nor `variance` is given."
    )
    variance: float | None = Field(None, gt=0, le=255**2, description="Instead of `sigma`: its square.")
    clip: bool = Field(True, description=CLIP)

    @model_validator(mode="after")
    def _has_one_strength(self) -> Self:
        if self.sigma is not None and self.variance is not None:
            raise ValueError("give sigma or variance, not both")
        return self


class CoefficientNoise(Noise):
    """A multiple of Gaussian noise in units of white: `noisy = clean + mean + factor * N(0, 1)`, white = 1."""

    kind: Literal["coefficient"]
    factor: Factor | tuple[Factor, Factor] = Field(0.5, description="Standard deviation; white is 1.")
    mean: float = Field(
        0.0, ge=-1, le=1, description="Mean of the noise; 0.5 with factor 0.5 is the N(0.5, 0.5) variant."
    )
    clip: bool = Field(True, description=CLIP)


class MaskingNoise(Noise):
    """Pixels set to black, all channels of a pixel together (Vincent et al., ICML 2008)."""

    kind: Literal["masking"]
    share: Share | tuple[Share, Share] = Field((0.3, 0.5), description="Probability of each pixel to become black.")


class SaltAndPepperNoise(Noise):
    """Values set to black or to white, each half of the time."""

    kind: Literal["salt_and_pepper"]
    share: Share | tuple[Share, Share] = Field(0.05, description="Probability of each value to be replaced.")


class SpeckleNoise(Noise):
    """Multiplicative Gaussian noise: `noisy = clean * (1 + N(0, sigma))`."""

    kind: Literal["speckle"]
    sigma: Factor | tuple[Factor, Factor] = Field(0.2, description="Standard deviation of the factor.")
    clip: bool = Field(True, description=CLIP)


class ShotReadNoise(Noise):
    """Photon and read noise of a sensor: Poisson of variance `beta1 * clean`, Gaussian of variance `beta2`; white = 1.

    The noise-level functions are those published with SIDD (Abdelhamed, Lin, Brown, CVPR 2018).
    """

    kind: Literal["shot_read"]
    camera: Literal["S6-100", "S6-800", "N6-100", "G4-100", "IP-100", "GP-800", "GP-6400", "GP-10000"] | None = Field(
        None, description="Phone and ISO of SIDD, for both betas; else give them."
    )
    beta1: Beta | tuple[Beta, Beta, Beta] | None = Field(
        None, description="Variance per unit of light: one number, or one for R, G and B."
    )
    beta2: Beta | tuple[Beta, Beta, Beta] | None = Field(None, description="Variance in the dark; 0 if absent.")
    linear: bool = Field(
        True,
        description="The images are sRGB: take them to linear light, where a sensor's noise arises, and back. "
        "`false` for data that is linear already.",
    )
    clip: bool = Field(True, description=CLIP)

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.camera is None) == (self.beta1 is None) or (self.camera is not None and self.beta2 is not None):
            raise ValueError("give either camera, or beta1 (and beta2)")
        return self


class IsoNoise(Noise):
    """albumentations' ISONoise: shifts of hue and luminance, as of a camera at high ISO. Color images only."""

    kind: Literal["iso"]
    color_shift: Annotated[Span, Field(description="Least and most shift of hue, as a share of the circle.")] = (
        0.01,
        0.05,
    )
    intensity: Annotated[Span, Field(description="Least and most strength.")] = (0.1, 0.5)


class JpegNoise(Noise):
    """albumentations' ImageCompression: what JPEG loses."""

    kind: Literal["jpeg"]
    quality: Quality | tuple[Quality, Quality] = Field((10, 50), description="JPEG quality.")


class RealNoise(Noise):
    """The noisy images of a data set of pairs, as they were taken."""

    kind: Literal["real"]


class NoNoise(Noise):
    """None: the noisy image is the clean one, so that a network is asked only how much of an image it can pass on."""

    kind: Literal["none"]


NoiseParams = (
    GaussianNoise
    | CoefficientNoise
    | MaskingNoise
    | SaltAndPepperNoise
    | SpeckleNoise
    | ShotReadNoise
    | IsoNoise
    | JpegNoise
    | RealNoise
    | NoNoise
)


def parse(described: dict[str, Any]) -> NoiseParams:
    """Turn what `model_dump` gave back into noise parameters.

    Raises:
        pydantic.ValidationError: It is none.
    """
    adapter: TypeAdapter[NoiseParams] = TypeAdapter(Annotated[NoiseParams, Field(discriminator="kind")])
    return adapter.validate_python(described)
