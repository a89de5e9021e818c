"""A trained network, ready to denoise patches and whole images."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from degrain import files
from degrain.artifacts.trial import TRIAL, WEIGHTS, TrialRecord
from degrain.errors import DataError, ModelError, VersionMismatch
from degrain.inference import gray, texture, tiling
from degrain.machine.precision import autocast
from degrain.networks import catalog
from degrain.pixels import Light, depth, from_unit, to_unit
from degrain.shipped import catalog as shipped

# Patches that go through a network at once.
BATCH = 64
# Side of the tiles of larger images, in pixels: wider ones are little faster and take more memory.
TILE = 768


@dataclass(frozen=True)
class Denoiser:
    """A network with what must be known to feed it.

    Attributes:
        network: From float32 (N, C, H, W) in [0, 1] to the same shape.
        model: Its name in the catalog.
        channels: 1, 3 or 4.
        patch_size: Side of the patches it was trained on, in pixels.
        trial: What is recorded of its training; None while it is being trained.
        precision: Type that the network computes in, "float32" or "bfloat16".
        keeps_texture: Whether texture that the network took for noise is given back to whole images, see `texture`.
        tells_by_color: Whether it tells by colors how strong noise is, and a gray image must get some, see `gray`.
    """

    network: nn.Module
    model: str
    channels: int
    patch_size: int
    trial: TrialRecord | None = None
    precision: str = "float32"
    keeps_texture: bool = False
    tells_by_color: bool = False

    @classmethod
    def ready(cls, name: str, device: torch.device | None = None, precision: str = "float32") -> Denoiser:
        """Load a model that comes with degrain, "best" or "small"; it keeps texture, and takes gray images.

        Args:
            name: Of the model.
            device: As of `load`.
            precision: As of `load`.

        Raises:
            ModelError: None is called that, or as of `load`.
        """
        if (folder := shipped.folder(name)) is None:
            raise ModelError(f"{name} does not come with degrain; there are {', '.join(shipped.names())}")
        return replace(cls.load(folder, device, precision), keeps_texture=True, tells_by_color=True)

    @classmethod
    def load(cls, folder: Path, device: torch.device | None = None, precision: str = "float32") -> Denoiser:
        """Load a trained model from a folder with trial.json and weights.safetensors; no code of the folder runs.

        Args:
            folder: Of the model.
            device: Where to compute; by default the CPU.
            precision: "float32" or "bfloat16".

        Raises:
            ModelError: The folder holds no model, or weights that are damaged or belong to another network or to other
                code of it.
        """
        if not (folder / TRIAL).is_file() or not (folder / WEIGHTS).is_file():
            raise ModelError(f"{folder} holds no trained model ({TRIAL} and {WEIGHTS})")
        try:
            trial = TrialRecord.read(folder / TRIAL)
            if trial.is_outdated:
                raise ModelError(
                    f"{folder} holds weights that were trained with other code of {trial.model} than there is now; "
                    f"run: dvc repro train@{trial.model}"
                )
            network = catalog.spec(trial.model).build(trial.channels, trial.patch_size)
            network.load_state_dict(_weights(folder / WEIGHTS, trial.weights_sha256))
        except VersionMismatch as error:
            raise ModelError(f"{folder} holds a model of another version of degrain: {error}") from error
        except (DataError, RuntimeError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{folder} holds a damaged model: {reason}") from error
        network.to(device or torch.device("cpu"), memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(network, trial.model, trial.channels, trial.patch_size, trial, precision)

    @property
    def light(self) -> Light:
        """What values stood for in the images that it was trained on."""
        return "srgb" if self.trial is None else self.trial.light

    def patches(self, noisy: np.ndarray, batch: int = BATCH) -> np.ndarray:
        """Denoise patches of the size it was trained on.

        Args:
            noisy: (N, H, W, C) uint8, uint16, or float in 8-bit levels.
            batch: How many go through the network at once.

        Returns:
            uint8, or uint16 for uint16 input (N, H, W, C), by the metric protocol.
        """
        outputs = np.empty(noisy.shape, depth(noisy))
        for start in range(0, len(noisy), batch):
            part = np.s_[start : start + batch]
            outputs[part] = from_unit(self.outputs(to_unit(noisy[part])), outputs.dtype)
        return outputs

    def image(self, noisy: np.ndarray, tile: int = TILE, overlap: int = 32) -> np.ndarray:
        """Denoise one image of any size; besides input and output, memory holds one tile.

        Args:
            noisy: (H, W, C) uint8, uint16, or float in 8-bit levels. A gray image goes through a color network as three
                equal channels and is averaged afterwards; a color image goes through a gray network channel by channel.
            tile: Largest side of the tiles, in pixels. It does not change the result. Networks of fixed size take their
                own.
            overlap: Overlap of the tiles of networks of fixed size, in pixels, at most half of the tile is used; the
                others ignore it.

        Returns:
            uint8, or uint16 for uint16 input (H, W, C), by the metric protocol.
        """
        return self.denoised(noisy, tile, overlap)[0]

    def denoised(
        self,
        noisy: np.ndarray,
        tile: int = TILE,
        overlap: int = 32,
        strength: float = 1.0,
        dtype: np.dtype[Any] | None = None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> tuple[np.ndarray, float, float]:
        """Denoise one image at a strength, and say how much noise and texture the network found; texture is kept.

        Args:
            noisy: As of `image`.
            tile: As of `image`.
            overlap: As of `image`.
            strength: How much of the noise is removed, 0 to 1.
            dtype: Of the result, uint8 or uint16; by default the one of `image`.
            advance: Called with the rows of pixels that are finished since the last call.

        Returns:
            The image, and the standard deviations of noise and of texture, white = 1.
        """
        output, power = np.empty(noisy.shape, dtype or depth(noisy)), 0.0
        share = 1 if self.keeps_texture else strength
        for rows, columns, clean in self.tiles(noisy, tile, overlap):
            noise = to_unit(noisy[rows, columns]) - clean
            power += float(np.square(noise).sum(dtype=np.float64))
            left = (1 - share) * noise if share < 1 else 0
            output[rows, columns] = from_unit(clean + left, output.dtype)
            if columns.stop == noisy.shape[1]:
                advance(rows.stop - rows.start)
        deviation = math.sqrt(power / noisy.size)
        if not self.keeps_texture:
            return output, deviation, 0.0
        noise_alone = texture.give_back(noisy, output, strength)
        return output, noise_alone, math.sqrt(max(0.0, deviation**2 - noise_alone**2))

    def tiles(self, noisy: np.ndarray, tile: int = TILE, overlap: int = 32) -> Iterator[tiling.Tile]:
        """Yield the parts of what the network makes of an image as they are finished: float32, white = 1, not clamped.

        Args:
            noisy: As of `image`.
            tile: As of `image`.
            overlap: As of `image`.
        """
        if self.tells_by_color and noisy.shape[2] < self.channels:
            for rows, columns, pixels in self._tiles(gray.Colored(noisy), tile, overlap):
                yield tiling.Tile(rows, columns, pixels.mean(axis=2, keepdims=True))
        else:
            yield from self._tiles(noisy, tile, overlap)

    def _tiles(self, noisy: tiling.Sliceable, tile: int, overlap: int) -> Iterator[tiling.Tile]:
        spec = catalog.spec(self.model)
        if spec.fixed_size:
            return tiling.blended(self._outputs, noisy[:, :], self.patch_size, min(overlap, self.patch_size // 2))
        return tiling.in_halos(self._outputs, noisy, tile, spec.radius or 0, spec.multiple, spec.smallest)

    def _outputs(self, noisy: np.ndarray) -> np.ndarray:
        """Return what the network makes of images as they are in files, gray or color: float32 (N, H, W, C)."""
        return tiling.adapted(self.outputs, self.channels, to_unit(noisy))

    @torch.inference_mode()
    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return what the network makes of images: both float32 (N, H, W, C) in units of white = 1, not clamped.

        Raises:
            ModelError: It makes NaN or infinity of them, which no pixel can be.
        """
        training = self.network.training
        self.network.eval()
        device = next(self.network.parameters()).device
        with autocast(self.precision, device):
            outputs = self.network(to_tensor(images).to(device))
        self.network.train(training)
        if not bool(torch.isfinite(outputs).all()):
            raise ModelError(f"{self.model} makes pixels of an image that are no finite numbers")
        return np.ascontiguousarray(outputs.permute(0, 2, 3, 1).float().cpu().numpy())


def _weights(path: Path, sha256: str | None) -> dict[str, torch.Tensor]:
    """Read weights.

    Raises:
        ModelError: They are not the ones that were recorded, or not all finite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = files.contents(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(f"{path} is damaged: its SHA-256 is not the recorded one; train again or fetch it again")
    try:
        weights: dict[str, torch.Tensor] = load(content)
    except SafetensorError as error:
        raise ModelError(f"{path} is damaged: {error}") from error
    if bad := [name for name, values in weights.items() if not torch.isfinite(values).all()]:
        raise ModelError(f"{path} holds NaN or infinity in {', '.join(bad[:3])}")
    return weights


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """Turn float32 (N, H, W, C) into a tensor (N, C, H, W) in the channels-last layout, without copying."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
