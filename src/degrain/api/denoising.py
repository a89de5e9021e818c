"""Trained denoisers: loading one, and calling it with images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from degrain import files
from degrain.api import images
from degrain.api.images import Given, ImageT
from degrain.errors import DataError, ModelError, ParamsError, nearest
from degrain.pixels import to_unit
from degrain.shipped import catalog as shipped
from degrain.stages import TRIALS

if TYPE_CHECKING:
    import torch
    from torch import nn

    from degrain.artifacts.trial import TrialRecord
    from degrain.inference.denoiser import Denoiser
    from degrain.pixels import Light

# Side of the tiles of large images, in pixels; overlap of those of networks that take one size only.
TILE, OVERLAP = 768, 32
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("float32", "bfloat16", "auto")


@dataclass(frozen=True)
class ImageDenoiser:
    """A trained network that is called with images; `load` and `train` make one.

    Attributes:
        inner: The network with what must be known to feed it.

    Examples:
        >>> import numpy as np
        >>> import degrain
        >>> denoiser = degrain.load("small")
        >>> denoiser
        ImageDenoiser(resunet-small-mean, channels=3, srgb)
        >>> denoiser(np.zeros((2, 24, 40, 3), np.uint8)).shape
        (2, 24, 40, 3)
    """

    inner: Denoiser

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.inner.model}, channels={self.channels}, {self.light})"

    @property
    def network(self) -> nn.Module:
        """The PyTorch module, from float32 (N, C, H, W) in [0, 1] to the same shape."""
        return self.inner.network

    @property
    def channels(self) -> int:
        """Channels of the images it was trained on: 1, 3, or 4 for a packed Bayer mosaic."""
        return self.inner.channels

    @property
    def light(self) -> Light:
        """What values stood for in these: "srgb", as in most image files, or "linear" light."""
        return self.inner.light

    @property
    def trial(self) -> TrialRecord | None:
        """What is recorded of its training: noise, data, settings, machine."""
        return self.inner.trial

    def __call__(
        self,
        image: ImageT,
        *,
        strength: float = 1.0,
        keep_texture: bool | None = None,
        tile: int = TILE,
        overlap: int = OVERLAP,
    ) -> ImageT:
        """Denoise images of any size.

        Args:
            image: NumPy array (H, W), (H, W, C) or (N, H, W, C), or torch tensor (H, W), (C, H, W) or (N, C, H, W);
                uint8, uint16, or float with black 0 and white 1. A gray image goes through a color network as three
                equal channels, a color image through a gray network channel by channel.
            strength: How much of the noise that the network finds is removed, 0 to 1.
            keep_texture: Give back what is removed from textured areas beyond what is removed from flat ones of the
                same brightness. None does so for the models that ship, which do not know how much noise there is.
            tile: Largest side of the tiles of large images, in pixels. Memory depends on it, the result does not.
            overlap: Overlap of the tiles of networks that take one size only, in pixels.

        Returns:
            The same shape, dtype and device; values are clipped to black and white, and those of float images rounded
            to 16 bits.

        Raises:
            DataError: It is no such image, or has channels that the network cannot take.
            ParamsError: `strength` or `tile` is impossible.

        Examples:
            >>> import degrain
            >>> import torch
            >>> denoiser = degrain.load("small")
            >>> clean = denoiser(torch.full((1, 32, 32), 0.5), strength=0.5)
            >>> clean.shape, clean.dtype
            (torch.Size([1, 32, 32]), torch.float32)
        """
        if not 0 <= strength <= 1:
            raise ParamsError(f"strength is {strength}: it is a share from 0 to 1")
        if tile < 16 or overlap < 0:
            raise ParamsError(f"tile is {tile} and overlap {overlap}: at least 16 and 0 pixels are needed")
        given = images.of(image)
        self._require(given)
        inner = self.inner if keep_texture is None else replace(self.inner, keeps_texture=keep_texture)
        dtype = np.dtype(np.uint16) if given.is_float else given.pixels.dtype
        made = np.stack([inner.denoised(noisy, tile, overlap, strength, dtype)[0] for noisy in given.pixels])
        return given.like(to_unit(made) if given.is_float else made)

    def _require(self, given: Given[ImageT]) -> None:
        """Refuse a Bayer mosaic where none was learned from, and the other way round."""
        if given.channels != self.channels and 4 in (given.channels, self.channels):
            raise DataError(
                f"image has {given.channels} channels, and {self.inner.model} was trained on images of "
                f"{self.channels}; a packed Bayer mosaic (4 channels) needs a denoiser of its own"
            )


def list_models() -> list[str]:
    """List the trained denoisers that come with degrain.

    Examples:
        >>> import degrain
        >>> "best" in degrain.list_models()
        True
    """
    return shipped.names()


def load(model: str | Path = "best", *, device: str = "auto", precision: str = "float32") -> ImageDenoiser:
    """Load a trained denoiser.

    Args:
        model: One that comes with degrain (`best`, or `small`, which is four times as fast); a folder with trial.json
            and weights.safetensors, such as `TrainedTrial.save` leaves, a trial of the ledger or a registered package;
            the name of a trial of the project in the present folder; or `models:/NAME@ALIAS` or `models:/NAME/VERSION`
            of an MLflow registry, which needs MLflow.
        device: "auto" (CUDA where there is one), "cpu" or "cuda".
        precision: "float32", "bfloat16", or "auto", which is bfloat16 on CPUs with units for it: twice as fast, and a
            few pixels differ by some levels.

    Returns:
        What is called with images. No code of the folder runs.

    Raises:
        ModelError: There is no such model (the message has the nearest name), or it is damaged.
        ParamsError: There is no such device or precision.
        RegistryError: The registry does not answer or does not hold it.

    Examples:
        >>> import numpy as np
        >>> import degrain
        >>> denoiser = degrain.load("small", device="cpu")
        >>> noisy = np.full((32, 32, 3), 128, np.uint8)
        >>> denoiser(noisy).dtype
        dtype('uint8')
    """
    require_one_of("device", device, DEVICES)
    require_one_of("precision", precision, PRECISIONS)
    from degrain.machine import compute
    from degrain.machine.precision import for_inference

    on = compute.choose_device(device)
    return ImageDenoiser(opened(str(model), on, for_inference(precision, on)))


def denoise(image: ImageT, model: str | Path = "best", *, strength: float = 1.0, device: str = "auto") -> ImageT:
    """Denoise images by a trained model; of many images, `load` it once and call it.

    Args:
        image: NumPy array (H, W), (H, W, C) or (N, H, W, C), or torch tensor (H, W), (C, H, W) or (N, C, H, W); uint8,
            uint16, or float with black 0 and white 1.
        model: As of `load`.
        strength: How much of the noise that the network finds is removed, 0 to 1.
        device: As of `load`.

    Returns:
        The same shape, dtype and device; values are clipped to black and white.

    Raises:
        DataError: It is no such image, or has channels that the network cannot take.
        ModelError: There is no such model.
        ParamsError: `strength` or `device` is impossible.

    Examples:
        >>> import numpy as np
        >>> import degrain
        >>> noisy = degrain.add_noise(np.full((48, 48, 3), 0.5), "gaussian", sigma=25)
        >>> bool(degrain.denoise(noisy, "small").std() < noisy.std() / 4)
        True
    """
    return load(model, device=device)(image, strength=strength)


def opened(model: str, on: torch.device, precision: str) -> Denoiser:
    """Load a model by a name that a user has given, see `load`."""
    import torch

    from degrain.inference.denoiser import Denoiser

    # NOTE: a network is built with random weights before it gets its own.
    with torch.random.fork_rng(devices=[]):
        if model in shipped.names():
            return Denoiser.ready(model, on, precision)
        with _folder(model) as folder:
            return Denoiser.load(folder, on, precision)


@contextmanager
def _folder(model: str) -> Iterator[Path]:
    from degrain.registry import aliases, kept, loading

    name, _, alias = model.removeprefix("models:/").rpartition("@")
    if model.startswith("models:/") and alias == aliases.CHAMPION:
        found = kept.champion(name)
    elif not model.startswith("models:/") and not files.is_folder(Path(model)) and not TRIALS.is_dir():
        raise ModelError(f"no model {model!r}: no folder is called that{nearest(model, shipped.names())}")
    else:
        found = loading.folder_of(model, TRIALS)
    with found as folder:
        yield folder


def require_one_of(what: str, name: str, known: tuple[str, ...]) -> None:
    """Refuse a name that is none of those that are known.

    Raises:
        ParamsError: It is none; the message has them.
    """
    if name not in known:
        raise ParamsError(f"{what} is {name!r}: it is one of {', '.join(known)}")
