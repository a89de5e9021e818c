"""What an optimizer declares: its options, and its update rule and defaults in each framework that a study may follow.

Presets: "pytorch" (torch.optim); "keras" (stand-alone Keras 1 and 2.0-2.3: keras/optimizers.py of Keras 2.2);
"tf.keras" (tf.keras 2 and Keras 3: keras/src/optimizers/ of Keras 3.15). Where generations of one preset differ, the
newest counts: epsilon is 1e-7 in "keras" although Keras 1 had 1e-8, and RMSprop and Nadam of "tf.keras" are those
since TensorFlow 2.11. torch.optim's classes do the work wherever they take the same path.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from degrain.declaration import Label, Section
from degrain.errors import nearest

if TYPE_CHECKING:
    import torch

Preset = Literal["pytorch", "keras", "tf.keras"]

# Options that several optimizers have; None is the preset's default.
DecayRate = Annotated[float, Field(ge=0, lt=1)]
Betas = Annotated[
    tuple[DecayRate, DecayRate] | None, Field(description="Decay rates of the mean and the mean square of gradients.")
]
Epsilon = Annotated[float | None, Field(ge=0, le=1e6, description="Added to denominators for numerical stability.")]
Momentum = Annotated[float | None, Field(ge=0, lt=1, description="Momentum factor.")]
Nesterov = Annotated[bool | None, Field(description="Whether to use Nesterov momentum.")]
WeightDecay = Annotated[float | None, Field(ge=0, le=1e6, description="Decoupled weight decay.")]

BETAS = (0.9, 0.999)


@dataclass(frozen=True)
class Rule:
    """One optimizer as one preset has it.

    Attributes:
        where: Module and class.
        options: What params.yaml may set, with the preset's defaults.
        constants: Arguments that the preset fixes and that decide the updates, too.
        fast: Arguments that choose the fastest of torch's implementations of the same updates.
        renamed: The class's names of options that it calls otherwise.
    """

    where: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
    options: dict[str, Any]
    constants: dict[str, Any] = field(default_factory=dict)
    fast: dict[str, bool] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)


FUSED = {"fused": True}
FOREACH = {"foreach": True}


class Optimizer(Section):
    """What all optimizers have in common.

    Attributes:
        source: Who described it first.
        rules: Its update rule in each preset that has it.
        name: Its name in params.yaml.
    """

    source: ClassVar[str] = ""
    rules: ClassVar[Mapping[Preset, Rule]] = {}

    name: str
    preset: Preset = Field(
        "pytorch",
        description="Whose defaults and update rule: PyTorch's, stand-alone Keras 1 and 2, or tf.keras 2 and Keras 3.",
    )
    label: Label = Field("", description="Name in trials and tables, when one optimizer is listed twice in a grid.")
    lr: float | None = Field(
        None, gt=0, le=1e30, description="Learning rate; the preset's if absent, as with all that follow."
    )

    def settings(self) -> dict[str, Any]:
        """Return everything that decides its updates, the preset's defaults filled in, ready for JSON."""
        filled = self._rule.options | self._rule.constants | self._chosen()
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in filled.items()}
        return {"name": self.name, "preset": self.preset, **plain}

    def build(self, network: torch.nn.Module) -> torch.optim.Optimizer:
        """Make the optimizer for a network.

        Args:
            network: Already on its device and in its memory format, in which the optimizer's state is kept, too.

        Returns:
            An optimizer each of whose `param_groups` has its learning rate under `lr` and `initial_lr`. Its
            `state_dict` holds tensors and what JSON can hold; after `load_state_dict` it goes on with the same bits, in
            whatever memory format the tensors were stored.
        """
        module, name = self._rule.where.split(":")
        make = getattr(importlib.import_module(module), name)
        optimizer: torch.optim.Optimizer = make(network.parameters(), **self.arguments())
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        optimizer.register_load_state_dict_post_hook(_lay_out_like_weights)
        return optimizer

    @property
    def title(self) -> str:
        """The name in trials and tables."""
        return self.label or self.name

    @property
    def modules(self) -> set[str]:
        """Names of the modules that decide its updates."""
        return {type(self).__module__}

    def arguments(self) -> dict[str, Any]:
        """Return what its class in torch is called with, besides the parameters of a network."""
        rule, arguments = self._rule, self.settings()
        del arguments["name"], arguments["preset"]
        return {rule.renamed.get(name, name): value for name, value in arguments.items()} | rule.fast

    @property
    def _rule(self) -> Rule:
        return self.rules[self.preset]

    def _chosen(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"name", "preset", "label"}, exclude_none=True)

    @model_validator(mode="after")
    def _is_of_its_preset(self) -> Self:
        if self.preset not in self.rules:
            raise ValueError(f"preset {self.preset} has no {self.name}; take preset {' or '.join(self.rules)}")
        for option in self._chosen():
            if option not in self._rule.options:
                raise ValueError(
                    f"{self.name} has no {option} in preset {self.preset}{nearest(option, self._rule.options)}"
                )
        settings = self.settings()
        if settings.get("nesterov") and not settings["momentum"]:
            raise ValueError(f"{self.name} with nesterov needs a momentum above 0")
        return self


def _lay_out_like_weights(optimizer: torch.optim.Optimizer) -> None:
    """Give loaded state the memory format of its weights.

    Safetensors keeps no memory format, and torch's fused kernels walk through weight and state in the order in which
    they lie in memory: with different orders their updates are silently wrong.
    """
    import torch

    for weight, state in optimizer.state.items():
        # NOTE: what is of no weight, and counts of steps, may stand there, too.
        if not isinstance(weight, torch.Tensor):
            continue
        for name, value in state.items():
            is_alike = isinstance(value, torch.Tensor) and value.shape == weight.shape
            if is_alike and value.stride() != weight.stride():
                state[name] = torch.empty_like(weight).copy_(value)
