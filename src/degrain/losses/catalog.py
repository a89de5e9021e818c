"""Every training loss that `train.losses` may ask for, alone or as a term of a sum."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from degrain import catalogs
from degrain.declaration import spelled_out
from degrain.losses.base import Loss, has_no_label, has_no_weight
from degrain.losses.bce import Bce
from degrain.losses.charbonnier import Charbonnier
from degrain.losses.huber import Huber
from degrain.losses.logcosh import LogCosh
from degrain.losses.mae import Mae
from degrain.losses.mape import Mape
from degrain.losses.ms_ssim import MsSsim
from degrain.losses.mse import Mse
from degrain.losses.psnr import Psnr
from degrain.losses.ssim import Ssim
from degrain.losses.sum import Sum

Single = Mse | Mae | Bce | LogCosh | Mape | Huber | Charbonnier | Psnr | Ssim | MsSsim

catalogs.classes(Loss, Single)  # before pydantic refuses terms of a sum without the name of a file

# A term of a sum.
Term = Annotated[Single, Field(discriminator="name"), AfterValidator(has_no_label)]
# NOTE: sum.py does not import its terms, so that the keys of its trials follow only those that they have.
Sum.model_rebuild(_types_namespace={"Term": Term})

LOSSES: tuple[type[Loss], ...] = catalogs.classes(Loss, Single | Sum)

# An entry of the grid, for which a bare name will do.
AnyLoss = Annotated[
    Single | Sum, Field(discriminator="name"), BeforeValidator(spelled_out), AfterValidator(has_no_weight)
]
