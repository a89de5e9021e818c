"""Every kind of noise that `prepare.noise` may ask for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from degrain import catalogs
from degrain.noise.base import Noise
from degrain.noise.camera import CameraNoise
from degrain.noise.coefficient import CoefficientNoise
from degrain.noise.gaussian import GaussianNoise
from degrain.noise.iso import IsoNoise
from degrain.noise.jpeg import JpegNoise
from degrain.noise.masking import MaskingNoise
from degrain.noise.none import NoNoise
from degrain.noise.real import RealNoise
from degrain.noise.salt_and_pepper import SaltAndPepperNoise
from degrain.noise.shot_read import ShotReadNoise
from degrain.noise.speckle import SpeckleNoise
from degrain.noise.unknown import UnknownNoise

Kind = (
    GaussianNoise
    | CoefficientNoise
    | MaskingNoise
    | SaltAndPepperNoise
    | SpeckleNoise
    | ShotReadNoise
    | CameraNoise
    | IsoNoise
    | JpegNoise
    | RealNoise
    | UnknownNoise
    | NoNoise
)
KINDS: tuple[type[Noise], ...] = catalogs.classes(Noise, Kind)

# A parameter or a field of a record.
AnyNoise = Annotated[Kind, Field(discriminator="kind")]
