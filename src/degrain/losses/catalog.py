"""Every training loss that `train.losses` may ask for, alone or as a term of a sum."""

from __future__ import annotations

from typing import get_args

from degrain.losses.base import Loss
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

Single = Mse | Mae | Bce | LogCosh | Mape | Huber | Charbonnier | Psnr | Ssim | MsSsim

LOSSES: tuple[type[Loss], ...] = get_args(Single)
