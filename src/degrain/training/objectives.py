"""What a step minimizes: the loss against the clean patch or, where there is none, against what stands in for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from degrain.patches import stand_in

if TYPE_CHECKING:
    from degrain.losses.base import Loss
    from degrain.noise.base import Noise

Run = Callable[[Tensor], Tensor]
# From the network and noisy and clean patches, float32 (N, C, H, W), to the loss, a mean over patches.
Objective = Callable[[Run, Tensor, Tensor], Tensor]

# Neighbor2Neighbor's gamma at the last step: how much the network's own estimate of the detail that the stand-in lacks
# is trusted.
TRUST: Final = 2.0


def of(loss: Loss, noise: Noise, progress: float) -> Objective:
    """Return what a step minimizes.

    Args:
        loss: Of the trial.
        noise: Of the data.
        progress: Share of the trial's steps that are done.
    """
    return partial(without_truth, loss, progress) if noise.stand_in else partial(with_truth, loss)


def with_truth(loss: Loss, run: Run, noisy: Tensor, clean: Tensor) -> Tensor:
    """Return the loss against the clean patch."""
    return loss.value(run(noisy), clean)


def without_truth(loss: Loss, progress: float, run: Run, noisy: Tensor, _: Tensor) -> Tensor:
    """Return the loss of halved noisy patches against their stand-in, see `degrain.patches.stand_in`.

    The stand-in lacks the finest detail, by as much as halving the denoised patch shows. The paper adds two squared
    errors, one against the stand-in and gamma times one against the stand-in with that detail; up to a factor their
    gradient is that of one error, against the stand-in with gamma / (1 + gamma) of the detail. Gamma grows from 0,
    since at first the network takes noise for detail.

    Source: Huang et al., "Neighbor2Neighbor", CVPR 2021; of its two random neighbors the second is here what the pixels
    around the first one interpolate, with a third of the noise.
    """
    gamma = TRUST * progress
    halves, between = halved(noisy)
    with torch.no_grad():
        denoised, blurred = halved(run(noisy))
    return loss.value(run(halves), between + gamma / (1 + gamma) * (denoised - blurred))


def halved(images: Tensor) -> tuple[Tensor, Tensor]:
    """Do as `degrain.patches.stand_in.halved`, without rounding: (N, C, H, W) to (N, C, H / 2, W / 2) each."""
    channels, reach = images.shape[1], stand_in.KERNEL.shape[0] // 2
    kernel = torch.from_numpy(stand_in.KERNEL).to(images).expand(channels, 1, -1, -1)
    between = F.conv2d(F.pad(images, (reach,) * 4, mode="reflect"), kernel, stride=2, groups=channels)
    return images[..., ::2, ::2], between
