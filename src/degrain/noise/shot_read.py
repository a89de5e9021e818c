"""Shot and read noise of a sensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from degrain.noise import alias, drawing, sensor_levels, sensors, srgb
from degrain.noise.base import CLIP, Noise
from degrain.randomness import Draws

if TYPE_CHECKING:
    from torch import Generator, Tensor

# Electrons at white; many more are no longer counted one by one, and leave no noise that could be seen.
MOST_ELECTRONS = 1e9


def _countable(beta: float) -> float:
    if 0 < beta < 1 / MOST_ELECTRONS:
        raise ValueError(f"should be 0 or at least {1 / MOST_ELECTRONS:g}")
    return beta


Beta = Annotated[float, Field(ge=0, le=1), AfterValidator(_countable)]

# Phone and ISO -> beta1 and beta2 of R, G and B, white = 1: variance = beta1 * light + beta2.
SIDD: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "S6-100": ((4.79e-4,), (0.0,)),
    "S6-800": ((3.70e-3,), (0.0,)),
    "N6-100": ((4.73e-4,), (2.8e-6,)),
    "G4-100": ((7.39e-4,), (0.0,)),
    "IP-100": ((7.02e-4, 6.62e-4, 7.09e-4), (3.3e-6,)),
    "GP-800": ((1.76e-3,), (1.2e-5,)),
    "GP-6400": ((1.41e-2,), (7.2e-4,)),
    "GP-10000": ((2.19e-2,), (1.75e-3,)),
}


class ShotReadNoise(Noise):
    """Photon and read noise of a sensor: Poisson of variance `beta1 * clean`, Gaussian of variance `beta2`; white = 1.

    The noise-level functions are those published with SIDD (Abdelhamed, Lin, Brown, CVPR 2018).
    """

    source: ClassVar[str] = (
        'Foi et al., IEEE TIP 17(10), 2008 (the model); Abdelhamed, Lin, Brown, "A high-quality denoising dataset for '
        'smartphone cameras", CVPR 2018, section 4, and its noise_level_functions.csv (the cameras)'
    )

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

    def draw(self, clean: np.ndarray, draws: Draws) -> np.ndarray:
        """Return noisy patches, see `Noise`."""
        beta1, beta2 = self._betas()
        white = np.float32(255)
        light = srgb.to_linear(clean / white) if self.linear else clean / white
        noisy = sensors.expose(light, beta1, beta2, draws)
        return (srgb.from_linear(noisy) if self.linear else noisy) * white

    def draw_8_bits(self, clean: np.ndarray, draws: Draws) -> np.ndarray:
        """Return noisy patches, see `Noise`."""
        beta1, beta2 = (tuple(beta.tolist()) for beta in self._betas())
        rows = clean + 256 * np.arange(max(len(beta1), len(beta2)))
        return alias.draw(sensor_levels.table(beta1, beta2, self.linear), rows, drawing.bits(clean.shape, draws))

    def draw_on_device(self, clean: Tensor, draw: Generator) -> Tensor:
        """Return noisy patches, see `Noise`."""
        import torch

        from degrain.noise import device_sensors

        beta1, beta2 = (torch.from_numpy(beta).to(clean) for beta in self._betas())
        light = device_sensors.to_linear(clean / 255) if self.linear else clean / 255
        noisy = device_sensors.expose(light, beta1, beta2, draw)
        return 255 * (device_sensors.from_linear(noisy) if self.linear else noisy)

    @property
    def on_srgb(self) -> bool:
        """Whether the images are taken to linear light first."""
        return self.linear

    def accepts(self, channels: int) -> bool:
        """Tell whether there is one beta for all channels, or one for each."""
        return all(len(betas) in (1, channels) for betas in self._betas())

    def _betas(self) -> tuple[np.ndarray, np.ndarray]:
        """Beta1 and beta2, float64 of shape (1,) or (3,)."""
        if self.camera is not None:
            beta1, beta2 = SIDD[self.camera]
            return np.array(beta1), np.array(beta2)
        return np.atleast_1d(self.beta1 or 0.0), np.atleast_1d(self.beta2 or 0.0)

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.camera is None) == (self.beta1 is None) or (self.camera is not None and self.beta2 is not None):
            raise ValueError("give either camera, or beta1 (and beta2)")
        return self
