"""The section `train`: the grid."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from degrain.params.base import Section

DecayRate = Annotated[float, Field(ge=0, lt=1)]


class OptimizerParams(Section):
    """One optimizer of the grid; in params.yaml its name alone will do."""

    name: str = Field(description="`adam` or `adadelta`.")
    label: str = Field(
        "",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$",
        description="Name in trials and tables, when one optimizer stands twice in a grid.",
    )
    lr: float | None = Field(None, gt=0, description="Learning rate; the optimizer's published default if absent.")
    betas: tuple[DecayRate, DecayRate] | None = Field(None, description="Adam's decay rates.")
    rho: float | None = Field(None, gt=0, lt=1, description="Adadelta's decay rate.")

    @property
    def title(self) -> str:
        """The name in trials and tables."""
        return self.label or self.name


def _spelled_out(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class TrainParams(Section):
    """The grid: every model with every optimizer, loss and seed."""

    models: list[str] = Field(min_length=1, description="Models of the catalog.")
    optimizers: list[Annotated[OptimizerParams, BeforeValidator(_spelled_out)]] = Field(
        min_length=1, description="Optimizers: a name, or a mapping with name and options."
    )
    losses: list[str] = Field(min_length=1, description="Training losses: `mse`, `mae`.")
    seeds: list[int] = Field([0], min_length=1, description="One trial per seed: first weights, order, noise.")
    epochs: int = Field(10, ge=1, description="Epochs of each trial.")
    patches_per_epoch: int = Field(
        0, ge=0, description="Patches of one epoch; 0 is all. Epochs go on where the last one stopped."
    )
    batch_size: int = Field(8, ge=1, description="Patches per optimizer step.")
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="Learning rate over the steps: constant, or falling to 0 as half a cosine."
    )
    warmup_steps: int = Field(0, ge=0, description="Steps over which the learning rate first rises from 0.")
    augment: Literal["none", "dihedral"] = Field(
        "dihedral", description="Fresh geometric augmentation: none, or one of the 8 flips and quarter turns."
    )
    threads: int = Field(
        1, ge=1, description="CPU threads of one trial; on the other cores further trials run side by side."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to compute.")

    @model_validator(mode="after")
    def _names_each_cell_once(self) -> TrainParams:
        axes = {
            "models": self.models,
            "optimizers": [optimizer.title for optimizer in self.optimizers],
            "losses": self.losses,
            "seeds": self.seeds,
        }
        for axis, values in axes.items():
            twice = sorted({str(value) for value in values if values.count(value) > 1})  # type: ignore[attr-defined]
            if twice:
                raise ValueError(f"{axis}: {', '.join(twice)} stands there twice")
        return self
