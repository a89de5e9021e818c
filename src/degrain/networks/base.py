"""What is known about a network, and how it is built."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from degrain.errors import ModelError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelSpec:
    """What is known about a network without building it.

    Attributes:
        title: For tables.
        source: Paper, or "degrain".
        maker: What builds it from (channels, size): a module of this package, and its function if it is not `build`.
        options: Further arguments of that function, a dictionary that JSON can hold.
        multiple: Height and width must be multiples of this.
        smallest: Height and width must be at least this.
        radius: Receptive radius in pixels: no output depends on pixels farther away, along rows or columns. It is
            measured by gradients before a network is trained. None for networks of fixed size only, where every output
            may depend on every pixel.
        fixed_size: Whether it takes only the size it was built for.
        bounded: Whether its output lies in [0, 1] by construction.
        times: How many times images are enlarged per side before it sees them; see `degrain.networks.enlarged`.
    """

    title: str
    source: str
    maker: str
    options: Mapping[str, Any] = field(default_factory=dict)
    multiple: int = 1
    smallest: int = 1
    radius: int | None = None
    fixed_size: bool = False
    bounded: bool = False
    times: int = 1

    @property
    def module(self) -> str:
        """The module of this package that builds it."""
        return self.maker.partition(":")[0]

    @property
    def function(self) -> str:
        """The function of that module that does."""
        return self.maker.partition(":")[2] or "build"

    @property
    def file(self) -> str:
        """The file of that module, for messages."""
        return f"networks/{self.module}.py"

    @property
    def modules(self) -> tuple[str, ...]:
        """The full names of the modules that build it; what they import is part of it, too."""
        return (__name__, f"degrain.networks.{self.module}")

    def build(self, channels: int, size: int) -> nn.Module:
        """Build it with fresh weights from PyTorch's global generator.

        Args:
            channels: 1, 3 or 4.
            size: Side of the training patches, in pixels.

        Raises:
            ModelError: It cannot take this size.
        """
        if problem := self.problem(size):
            raise ModelError(f"{self.title} {problem}")
        module = importlib.import_module(f"degrain.networks.{self.module}")
        make = getattr(module, self.function)
        network: nn.Module = make(channels, size * self.times, **self.options)
        if self.times == 1:
            return network
        from degrain.networks.enlarged import enlarge

        return enlarge(network, self.times)

    def problem(self, size: int) -> str | None:
        """Say why images of one size cannot be taken, or None when they can."""
        if size % self.multiple:
            return f"needs a size that is a multiple of {self.multiple}, not {size}"
        if size < self.smallest:
            return f"needs a size of at least {self.smallest}, not {size}"
        return None
