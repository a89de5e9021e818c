"""The section `train`: the grid."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

from pydantic import Field, model_validator

from degrain.declaration import GRID, HOW, Section, Seed
from degrain.errors import nearest
from degrain.files import LONGEST_NAME, folded
from degrain.losses.base import Loss
from degrain.losses.catalog import AnyLoss
from degrain.optimizers.base import Optimizer
from degrain.optimizers.catalog import AnyOptimizer

Light = Annotated[float, Field(ge=0.001, le=1)]
Epochs = Annotated[int, Field(ge=1, le=1_000_000)]


class TrainParams(Section):
    """The grid: every model with every optimizer, loss and seed, or with some pairs of an optimizer and a loss."""

    models: list[str] = Field(min_length=1, description="Models of the catalog.", json_schema_extra=GRID)
    optimizers: list[AnyOptimizer] = Field(
        min_length=1, description="Optimizers: a name, or a mapping with name and options.", json_schema_extra=GRID
    )
    losses: list[AnyLoss] = Field(
        min_length=1, description="Training losses: a name, or a mapping with name and options.", json_schema_extra=GRID
    )
    pairs: list[str] = Field(
        [],
        description="Only these pairs, such as `adam-mse`, of an optimizer and a loss above; all if empty.",
        json_schema_extra=GRID,
    )
    seeds: list[Seed] = Field(
        [0], min_length=1, description="One trial per seed: first weights, order, noise.", json_schema_extra=GRID
    )
    start: str = Field(
        "",
        description="Begin with the weights of this model, `best` or `small`, which come with degrain, instead of "
        "random ones; for its network and color images only.",
    )
    epochs: int = Field(10, ge=1, le=1_000_000, description="Epochs of each trial.")
    patches_per_epoch: int = Field(
        0, ge=0, le=10**9, description="Patches of one epoch; 0 is all. Epochs go on where the last one stopped."
    )
    batch_size: int = Field(8, ge=1, le=65_536, description="Patches that go through the network at once.")
    accumulate: int = Field(1, ge=1, le=65_536, description="Batches whose gradients make one optimizer step.")
    clip_norm: float | None = Field(
        None, gt=0, le=1e9, description="Largest norm of a step's gradient; longer ones are cut."
    )
    schedule: Literal["constant", "step", "cosine"] = Field(
        "constant", description="Learning rate over the steps: constant, falling in steps, or to 0 as half a cosine."
    )
    step_epochs: Epochs | Annotated[list[Epochs], Field(min_length=1)] = Field(
        10,
        description="For `step`: epochs between two steps of the learning rate, or a list of the epochs after which it "
        "steps.",
    )
    step_factor: float = Field(0.1, gt=0, le=1, description="For `step`: what each multiplies the learning rate by.")
    warmup_steps: int = Field(0, ge=0, le=10**9, description="Steps over which the learning rate first rises from 0.")
    ema: float | None = Field(
        None, gt=0, lt=1, description="Decay of averaged weights, which are then the ones validated and kept."
    )
    keep: Literal["last", "best"] = Field(
        "last", description="Which weights a trial leaves: the last epoch's, or those with the best validation PSNR."
    )
    patience: int = Field(
        0, ge=0, le=1_000_000, description="Stop after so many epochs without a better validation PSNR; 0 is never."
    )
    augment: Literal["none", "dihedral"] = Field(
        "dihedral", description="Fresh geometric augmentation: none, or one of the 8 flips and quarter turns."
    )
    exposure: tuple[Light, Light] | None = Field(
        None,
        description="Make each training patch darker before it gets its noise, as if it had been exposed for a shorter "
        "time: least and most share of its light that it keeps, drawn evenly in the logarithm. Needs sRGB images and "
        "fresh noise.",
    )
    mix: Literal["none", "mixup", "cutmix", "cutout"] = Field(
        "none", description="Fresh mixing of pairs: with another pair, with a square of it, or a square of zeros."
    )
    mix_probability: float = Field(0.2, ge=0, le=1, description="Of a patch to be mixed.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Of the network's arithmetic; auto is bfloat16 on a GPU or CPU with units for it.",
        json_schema_extra=HOW,
    )
    deterministic: bool = Field(True, description="The same bits every time, where a faster way would not give them.")
    threads: int = Field(
        1, ge=1, le=1024, description="CPU threads of one trial; on the other cores further trials run side by side."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to compute.", json_schema_extra=HOW)
    retries: int = Field(
        1,
        ge=0,
        le=100,
        description="How often a trial that failed is tried again before it is given up.",
        json_schema_extra=HOW,
    )
    on_failure: Literal["report", "stop"] = Field(
        "report",
        description="What a trial that was given up does to the study: reported, or the stage fails.",
        json_schema_extra=HOW,
    )
    checkpoint_seconds: float = Field(
        20,
        ge=0,
        le=86_400,
        description="Time between two checkpoints of a trial; 0 is after every step.",
        json_schema_extra=HOW,
    )

    @property
    def cells(self) -> list[tuple[Optimizer, Loss]]:
        """The pairs of an optimizer and a loss that each model is trained with, in the grid's order."""
        product = itertools.product(self.optimizers, self.losses)
        return [
            (optimizer, loss) for optimizer, loss in product if not self.pairs or _pair(optimizer, loss) in self.pairs
        ]

    @model_validator(mode="after")
    def _exposes_least_first(self) -> TrainParams:
        if self.exposure and self.exposure[0] > self.exposure[1]:
            raise ValueError(
                f"exposure: the least share of light, {self.exposure[0]}, exceeds the most, {self.exposure[1]}"
            )
        return self

    @model_validator(mode="after")
    def _names_each_cell_once(self) -> TrainParams:
        axes = {
            "models": self.models,
            "optimizers": [optimizer.title for optimizer in self.optimizers],
            "losses": [loss.title for loss in self.losses],
            "pairs": self.pairs,
            "seeds": self.seeds,
        }
        for axis, values in axes.items():
            twice = sorted({str(value) for value in values if values.count(value) > 1})  # type: ignore[attr-defined]
            if twice:
                raise ValueError(f"{axis}: {', '.join(twice)} is listed twice")
        pairs = itertools.product(axes["optimizers"], axes["losses"])  # type: ignore[call-overload]
        names = [f"{model}-{optimizer}-{loss}" for optimizer, loss in pairs for model in self.models]
        first: dict[str, str] = {}
        for name in names:
            # NOTE: each trial has a folder, and some file systems ignore case and composition.
            other = first.setdefault(folded(name), name)
            if len(name) > LONGEST_NAME:
                raise ValueError(f"the cell {name} has a name of more than {LONGEST_NAME} letters; give it a label")
            if names.count(name) > 1:
                raise ValueError(f"two cells are both called {name}; a label tells them apart")
            if other != name:
                raise ValueError(
                    f"the cells {other} and {name} differ only in letter case or Unicode form; a label tells them apart"
                )
        return self

    @model_validator(mode="after")
    def _has_what_the_pairs_name(self) -> TrainParams:
        known = [_pair(*both) for both in itertools.product(self.optimizers, self.losses)]
        for pair in self.pairs:
            if pair not in known:
                raise ValueError(f"pairs: no optimizer and loss of this study make {pair!r}{nearest(pair, known)}")
        return self


def _pair(optimizer: Optimizer, loss: Loss) -> str:
    return f"{optimizer.title}-{loss.title}"
