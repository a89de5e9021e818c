"""Convolutions that compute what PyTorch's do, and train faster on a CPU.

PyTorch trains transposed convolutions on the CPU several times slower than convolutions of the same size. But one is
the gradient of the other: the output of a transposed convolution is the gradient of a convolution with respect to its
input, and for that oneDNN is fast. Not, though, for few channels: it computes sixteen at a time. Then the pixels of a
block of the output become the channels of a convolution (docs/performance.md).

Sources: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4; Shi et al.,
"Is the deconvolution layer the same as a convolutional layer?", 2016.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

# Of which oneDNN computes whole multiples.
CHANNELS = 16


def conv_transpose2d(
    images: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1, padding: int = 0, output_padding: int = 0
) -> Tensor:
    """Convolve as torch.nn.functional.conv_transpose2d does.

    Args:
        images: (N, I, H, W).
        weight: (I, O, K, K).
        bias: (O,), or None.
        stride: Of the convolution whose transpose this is.
        padding: Of it.
        output_padding: Rows and columns at the end of the output that lie behind that convolution's last whole stride.

    Returns:
        (N, O, (H - 1) stride - 2 padding + K + output_padding, the same of W).
    """
    if images.device.type != "cpu" or torch.compiler.is_exporting():
        return F.conv_transpose2d(images, weight, bias, stride, padding, output_padding)
    if torch.is_autocast_enabled("cpu"):
        kind = torch.get_autocast_dtype("cpu")
        images, weight = images.to(kind), weight.to(kind)
    output: Tensor = _Transposed.apply(images, weight, bias, stride, padding, output_padding)  # type: ignore[no-untyped-call]
    return output


class ConvTranspose2d(nn.ConvTranspose2d):
    """torch.nn.ConvTranspose2d with square stride and padding, and without its further options."""

    def forward(self, images: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: ARG002
        """Convolve."""
        stride, padding, behind = self.stride[0], int(self.padding[0]), self.output_padding[0]
        return conv_transpose2d(images, self.weight, self.bias, stride, padding, behind)


class FewOutputsConv2d(nn.Conv2d):
    """A 3x3 convolution with few output channels, as the transposed convolution with the turned kernel.

    Takes (N, in_channels, H, W), returns (N, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Convolve."""
        return conv_transpose2d(images, self.weight.flip(2, 3).transpose(0, 1), self.bias, padding=1)


class EnlargedConv2d(nn.Conv2d):
    """A 3x3 convolution of an image enlarged to twice its size by repeating pixels.

    Takes (N, in_channels, H, W), returns (N, out_channels, 2H, 2W). The enlarged image is never made: it has four equal
    pixels for each one, so a 4x4 kernel of stride 2 does the same with 4/9 of the products.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1)
        # Row k of the large kernel has the rows of the small one that see the same pixel there.
        rows = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
        self.register_buffer("enlarging", torch.kron(rows, rows).T.contiguous(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Enlarge and convolve."""
        kernel = self.weight.transpose(0, 1).reshape(-1, 9) @ self.get_buffer("enlarging")
        shape = self.in_channels, self.out_channels, 4, 4
        return conv_transpose2d(images, kernel.view(shape), self.bias, stride=2, padding=1)


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, images: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, behind: int
    ) -> Tensor:
        context.save_for_backward(images, weight)
        context.geometry = stride, padding
        sides = [(side - 1) * stride - 2 * padding + weight.shape[2] + behind for side in images.shape[2:]]
        if blocks := _Blocks.fitting(images, weight, stride, padding, behind):
            return blocks.convolve(images, weight, bias)
        # NOTE: of the convolution's input only the shape and the layout are looked at.
        shape = (len(images), weight.shape[1], *sides)
        output = torch.empty(shape, dtype=images.dtype, memory_format=torch.channels_last)
        output = _gradients(images, output, weight, stride, padding, [True, False, False])[0]
        return output if bias is None else output.add_(bias.to(output.dtype).view(1, -1, 1, 1))

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = context.saved_tensors
        stride, padding = context.geometry
        wanted = context.needs_input_grad
        of_output = _channels_last(gradients[0])
        of_images, of_weight, of_bias = None, None, None
        if wanted[0]:
            of_images = F.conv2d(of_output, weight, None, stride, padding)
        if wanted[1]:
            of_weight = _gradients(images, of_output, weight, stride, padding, [False, True, False])[1]
        if wanted[2]:
            of_bias = of_output.sum((0, 2, 3))
        return of_images, of_weight, of_bias, None, None, None


def _channels_last(images: Tensor) -> Tensor:
    """Lay images out with channels last, to be recognized as such even where there is only one channel."""
    _, channels, height, width = images.shape
    images = images.contiguous(memory_format=torch.channels_last)
    return images.as_strided(images.shape, (channels * height * width, 1, channels * width, channels))


def _gradients(
    of_output: Tensor, images: Tensor, weight: Tensor, stride: int, padding: int, wanted: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of a convolution with respect to its images, weight and bias."""
    geometry = [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1
    result: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        of_output, images, weight, None, *geometry, wanted
    )
    return result


@dataclass(frozen=True)
class _Blocks:
    """A transposed convolution as a convolution that computes the pixels of a square block as channels.

    Attributes:
        side: Of a block, in pixels of the output.
        kernel, stride, padding: Of the convolution.
        places: Where it has which number of the transposed kernel: (K * K, side * side * kernel * kernel), 0 or 1.
    """

    side: int
    kernel: int
    stride: int
    padding: int
    places: Tensor

    @classmethod
    def fitting(cls, images: Tensor, weight: Tensor, stride: int, padding: int, behind: int) -> _Blocks | None:
        """Return the largest blocks that are not more than oneDNN computes at a time, if there are any."""
        if behind or weight.shape[1] * stride**2 > CHANNELS:
            return None
        for strides in (4, 2, 1):
            whole = not (images.shape[2] % strides or images.shape[3] % strides)
            if whole and weight.shape[1] * (strides * stride) ** 2 <= CHANNELS:
                return _blocks(weight.shape[2], stride, padding, strides, weight.dtype)
        return None

    def convolve(self, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute the transposed convolution, with channels last."""
        inputs, outputs = weight.shape[:2]
        kernel = weight.reshape(inputs * outputs, -1) @ self.places
        kernel = kernel.view(inputs, outputs * self.side**2, self.kernel, self.kernel).transpose(0, 1)
        repeated = None if bias is None else bias.to(kernel.dtype).repeat_interleave(self.side**2)
        return F.pixel_shuffle(F.conv2d(images, kernel, repeated, self.stride, self.padding), self.side)


@cache
def _blocks(kernel: int, stride: int, padding: int, strides: int, dtype: torch.dtype) -> _Blocks | None:
    """_Blocks of so many strides; None where they would need more padding on one side than on the other."""
    side = strides * stride
    # Pixel q of a block sees, with number k of the kernel, the pixel (q + padding - k) / stride of the input.
    first, last = -((kernel - 1 - padding) // stride), (side - 1 + padding) // stride
    if last - strides + 1 != -first:
        return None
    line = torch.zeros(kernel, side, last - first + 1, dtype=dtype)
    for k in range(kernel):
        for q in range(side):
            if (q + padding - k) % stride == 0:
                line[k, q, (q + padding - k) // stride - first] = 1
    places = torch.einsum("kqi,lrj->klqrij", line, line).reshape(kernel**2, -1)
    return _Blocks(side, last - first + 1, strides, -first, places)
