"""Networks by name, and networks of one's own."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from degrain import catalogs, files
from degrain.api.images import CHANNELS
from degrain.errors import ModelError, ParamsError
from degrain.networks import base, catalog
from degrain.networks.base import ModelSpec

if TYPE_CHECKING:
    from torch import nn

# Builds a network from (channels, size of the training patches).
Build = TypeVar("Build", bound="Callable[..., nn.Module]")

# What builds each network that was registered in this process, by the `maker` of its declaration.
_BUILDERS: dict[str, Callable[..., Any]] = {}


@dataclass(frozen=True)
class OwnSpec(ModelSpec):
    """A network that is declared outside of degrain.

    Attributes:
        code: Digest of the file that declares it: part of what its weights and the keys of its trials belong to.
        path: That file, for messages.
    """

    code: str = ""
    path: str = ""

    @property
    def file(self) -> str:
        """The file that declares it, for messages."""
        return self.path

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of degrain that build it; `code` stands for its own."""
        return (base.__name__,)

    def build(self, channels: int, size: int) -> nn.Module:
        """Build it, see `ModelSpec.build`."""
        if problem := self.problem(size):
            raise ModelError(f"{self.title} {problem}")
        network: nn.Module = _BUILDERS[self.maker](channels, size * self.times)
        if self.times == 1:
            return network
        from degrain.networks.enlarged import enlarge

        return enlarge(network, self.times)


def list_networks() -> list[str]:
    """List the networks of the catalog, and those that were registered.

    `degrain models` shows what each costs and where it is from. Some names are derived: `sinha2018-x4` sees images
    enlarged four times, `bernier2021-latent64` has a code of 64 numbers.

    Examples:
        >>> import degrain
        >>> "unet" in degrain.list_networks()
        True
    """
    return sorted(catalog.MODELS)


def network(name: str, channels: int = 3, *, size: int = 64, seed: int | None = None) -> nn.Module:
    """Build an untrained network.

    Args:
        name: Of `list_networks`.
        channels: Of its images: 1 (gray), 3 (RGB), or 4 (a packed Bayer mosaic).
        size: Side of the images in pixels, for networks that take one size only.
        seed: Of its first weights; PyTorch's global generator is left as it is. None draws them from that one.

    Returns:
        A module from float32 (N, channels, H, W) in [0, 1] to the same shape.

    Raises:
        ModelError: There is no such network (the message has the nearest name), or it cannot take this size.
        ParamsError: It cannot have so many channels.

    Examples:
        >>> import degrain
        >>> import torch
        >>> unet = degrain.network("unet", channels=1, seed=0)
        >>> unet(torch.zeros(2, 1, 32, 48)).shape
        torch.Size([2, 1, 32, 48])
    """
    if channels not in CHANNELS:
        raise ParamsError(f"channels is {channels}: images have 1, 3 or 4")
    spec = catalog.spec(name)
    import torch

    with nullcontext() if seed is None else torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        return spec.build(channels, size)


def register_network(
    name: str,
    *,
    radius: int | None = None,
    multiple: int = 1,
    smallest: int = 1,
    fixed_size: bool = False,
    bounded: bool = False,
    title: str = "",
    source: str = "",
) -> Callable[[Build], Build]:
    """Declare a network of one's own, for `network`, `train` and `load` in this process.

    It decorates the function that builds it, from (channels, size of the training patches). A digest of the file with
    that function goes into the records of its trials: weights are refused where the file has changed since. Modules of
    one's own that the file imports are not followed, so keep a network in one file. What is declared in a notebook or
    on the prompt has no file, and its weights cannot be loaded by another process.

    Args:
        name: Not one of degrain's.
        radius: Receptive radius in pixels: no output depends on pixels farther away, along rows or columns. Large
            images are denoised in tiles with a halo of it. It is measured before a network is trained.
        multiple: Height and width must be multiples of this.
        smallest: Height and width must be at least this.
        fixed_size: Whether it takes only the size it was built for; then it needs no radius.
        bounded: Whether its output lies in [0, 1] by construction.
        title: For tables; the name if empty.
        source: Paper.

    Returns:
        The decorator; the function stays what it is.

    Raises:
        ParamsError: The name is taken by degrain, or there is neither a radius nor a fixed size.

    Examples:
        >>> import degrain
        >>> from torch import nn
        >>> @degrain.register_network("one-layer", radius=1)
        ... def one_layer(channels, size):
        ...     return nn.Conv2d(channels, channels, 3, padding=1)
        >>> degrain.network("one-layer", channels=1)
        Conv2d(1, 1, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    """
    if not isinstance(catalog.MODELS.get(name), OwnSpec | None):
        raise ParamsError(f"a network of degrain is called {name!r} already; choose another name")

    def declare(build: Build) -> Build:
        path, code = _source(build)
        spec = OwnSpec(
            title=title or name,
            source=source,
            maker=f"{name}:{build.__name__}",
            multiple=multiple,
            smallest=smallest,
            radius=radius,
            fixed_size=fixed_size,
            bounded=bounded,
            code=code,
            path=path,
        )
        catalogs.networks([(name, spec)])
        catalogs.check_call(path, build.__name__, inspect.signature(build), "channels", "size")
        _BUILDERS[spec.maker] = build
        catalog.MODELS[name] = spec
        return build

    return declare


def _source(build: Callable[..., Any]) -> tuple[str, str]:
    """Return the file of a function, for messages, and the digest of it."""
    file = inspect.getsourcefile(build)
    if file and Path(file).is_file():
        return Path(file).name, files.sha256(Path(file))
    # NOTE: a cell of a notebook does not have all of the network's code, so that a digest of it would say too little.
    return "this session", uuid.uuid4().hex
