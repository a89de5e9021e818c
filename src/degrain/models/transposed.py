"""Transposed convolution at the speed of a convolution.

PyTorch trains transposed convolutions on the CPU several times slower than convolutions of the same size. But one is
the gradient of the other: the output of a transposed convolution is the gradient of a convolution with respect to its
input, and for that oneDNN is fast (docs/performance.md).

Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv_transpose2d(images: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1, padding: int = 0) -> Tensor:
    """Convolve as torch.nn.functional.conv_transpose2d does.

    Args:
        images: (N, I, H, W).
        weight: (I, O, K, K).
        bias: (O,), or None.
        stride: Of the convolution whose transpose this is.
        padding: Of it.

    Returns:
        (N, O, (H - 1) stride - 2 padding + K, the same of W).
    """
    if images.device.type != "cpu":
        return F.conv_transpose2d(images, weight, bias, stride, padding)
    if torch.is_autocast_enabled("cpu"):
        kind = torch.get_autocast_dtype("cpu")
        images, weight = images.to(kind), weight.to(kind)
    output: Tensor = _Transposed.apply(images, weight, stride, padding)  # type: ignore[no-untyped-call]
    return output if bias is None else output + bias.to(output.dtype).view(1, -1, 1, 1)


class ConvTranspose2d(nn.ConvTranspose2d):
    """torch.nn.ConvTranspose2d with square stride and padding, and without its further options."""

    def forward(self, images: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: ARG002
        """Convolve."""
        return conv_transpose2d(images, self.weight, self.bias, self.stride[0], int(self.padding[0]))


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, images: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        context.save_for_backward(images, weight)
        context.geometry = stride, padding
        sides = [(side - 1) * stride - 2 * padding + weight.shape[2] for side in images.shape[2:]]
        # NOTE: of the convolution's input only the shape and the layout are looked at.
        shape = (len(images), weight.shape[1], *sides)
        output = torch.empty(shape, dtype=images.dtype, memory_format=torch.channels_last)
        return _gradients(images, output, weight, stride, padding, [True, False, False])[0]

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        images, weight = context.saved_tensors
        stride, padding = context.geometry
        of_output = gradients[0].contiguous(memory_format=torch.channels_last)
        of_images, of_weight = None, None
        if context.needs_input_grad[0]:
            of_images = F.conv2d(of_output, weight, None, stride, padding)
        if context.needs_input_grad[1]:
            of_weight = _gradients(images, of_output, weight, stride, padding, [False, True, False])[1]
        return of_images, of_weight, None, None


def _gradients(
    of_output: Tensor, images: Tensor, weight: Tensor, stride: int, padding: int, wanted: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of a convolution with respect to its images, weight and bias."""
    geometry = [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1
    result: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        of_output, images, weight, None, *geometry, wanted
    )
    return result
