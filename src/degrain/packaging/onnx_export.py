"""A trial's network as ONNX: bytes that name nothing of this machine, and the same bytes every time."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from degrain.errors import ModelError, printable
from degrain.inference.denoiser import Denoiser
from degrain.networks import catalog
from degrain.networks.base import ModelSpec

if TYPE_CHECKING:
    from google.protobuf.message import Message

INPUT, OUTPUT = "noisy", "denoised"
# Of the exporter and of what it is made of; they tell of torchvision, which is not needed.
_LOGGERS = ("torch.onnx", "torch.export", "torch._dynamo", "onnxscript", "onnx_ir")
# Images and pixels per side that the exporter must reckon with.
_MOST_IMAGES, _MOST_PIXELS = 4096, 65_536
# Of the example that is traced: no side of 1 or of equal length, which would be taken for constants.
_LEAST_SIDE = 16
# Fields of ONNX messages that name files, or hold what the exporter notes for debugging.
_NOTES = ("doc_string", "metadata_props")


def export(denoiser: Denoiser) -> bytes:
    """Export a trained network.

    Args:
        denoiser: With its trial.

    Returns:
        A serialized ONNX model from `noisy` to `denoised`, both float32 (N, C, H, W) in units of white = 1. N is any;
        H and W are any multiples of `ModelSpec.multiple` from `ModelSpec.smallest` on, or the patch size where
        `ModelSpec.fixed_size` is true. Its metadata say what `degrain.packaging.serving` must know.

    Raises:
        ModelError: The exporter cannot take the network, or there is no trial.
    """
    if denoiser.trial is None:
        raise ModelError(f"{denoiser.model} is still being trained")
    spec = catalog.spec(denoiser.model)
    # NOTE: in the layout of a network that was just built, or the exporter writes how it is changed.
    network = copy.deepcopy(denoiser.network).to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    try:
        with _quiet():
            program = torch.onnx.export(
                network.eval(),
                (_example(spec, denoiser.channels, denoiser.patch_size),),
                dynamo=True,
                dynamic_shapes=(_dynamic(spec),),
                input_names=[INPUT],
                output_names=[OUTPUT],
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = printable(" ".join(str(error).split())[:200])
        raise ModelError(f"{denoiser.model} cannot be exported to ONNX: {reason}") from error
    model = program.model_proto if program else None
    if model is None:
        raise ModelError(f"{denoiser.model} cannot be exported to ONNX")
    _strip(model)
    for name, value in _metadata(denoiser, spec).items():
        model.metadata_props.add(key=name, value=value)
    return bytes(model.SerializeToString(deterministic=True))


def _example(spec: ModelSpec, channels: int, size: int) -> torch.Tensor:
    """An image to trace the network with; its values do not matter."""
    if spec.fixed_size:
        return torch.zeros(2, channels, size, size)
    side = max(2 * spec.multiple, -(-max(spec.smallest, _LEAST_SIDE) // spec.multiple) * spec.multiple)
    return torch.zeros(2, channels, side, side + spec.multiple)


def _dynamic(spec: ModelSpec) -> dict[int, Any]:
    """The axes of the input that may have any length."""
    images = torch.export.Dim("images", min=1, max=_MOST_IMAGES)
    if spec.fixed_size:
        return {0: images}
    least = max(1, -(-spec.smallest // spec.multiple))
    sides = [torch.export.Dim(name, min=least, max=_MOST_PIXELS // spec.multiple) for name in ("height", "width")]
    height, width = (spec.multiple * side if spec.multiple > 1 else side for side in sides)
    return {0: images, 2: height, 3: width}


def _metadata(denoiser: Denoiser, spec: ModelSpec) -> dict[str, str]:
    """What must be known to feed the network, and where it comes from."""
    trial = denoiser.trial
    values: dict[str, Any] = {
        "channels": denoiser.channels,
        "fixed_size": int(spec.fixed_size),
        "light": denoiser.light,
        "multiple": spec.multiple,
        "patch_size": denoiser.patch_size,
        "radius": spec.radius or 0,
        "smallest": spec.smallest,
        "trial_key": trial.key if trial else "",
        "weights_sha256": trial.weights_sha256 if trial else "",
    }
    return {f"degrain.{name}": str(value) for name, value in values.items()}


def _strip(message: Message) -> None:
    """Clear, at every depth, what the exporter notes of source files and modules."""
    for name in _NOTES:
        if name in message.DESCRIPTOR.fields_by_name:
            message.ClearField(name)
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                _strip(inner)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's warnings and log lines from the user, to whom they say nothing."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
