"""Networks that see enlarged images, as in R. Sinha and V. Sharma, "Autoencoders for noise reduction in images", 2018.

Pooling throws details away; where each pixel has become a square of pixels, little is lost. The report enlarges its
images to sixteen times their area, noisy and clean, before it trains; here the network itself enlarges what it gets and
shrinks what it gives, so that losses and scores are those of the images as they are.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


def enlarge(network: nn.Module, times: int) -> nn.Module:
    """Let a network denoise enlarged images.

    Args:
        network: From (N, C, H, W) to the same shape. It stays what it is, with the same weights under the same names.
        times: How many times images are enlarged per side, bilinearly, as by OpenCV's INTER_LINEAR. What the network
            makes of them is shrunk again: each square of so many pixels a side to its mean.

    Returns:
        The network itself.
    """

    def enlarged(_: nn.Module, images: tuple[Tensor]) -> Tensor:
        return F.interpolate(images[0], scale_factor=times, mode="bilinear", align_corners=False)

    def shrunk(_: nn.Module, __: tuple[Tensor], outputs: Tensor) -> Tensor:
        return F.avg_pool2d(outputs, times)

    network.register_forward_pre_hook(enlarged)
    network.register_forward_hook(shrunk)
    return network
