"""The section `train`: the grid."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from degrain.declaration import GRID, HOW, Section
from degrain.errors import nearest

Epochs = Annotated[int, Field(ge=1)]
DecayRate = Annotated[float, Field(ge=0, lt=1)]
Label = Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$")]


def _odd(value: int | None) -> int | None:
    if value is not None and (value < 3 or value % 2 == 0):
        raise ValueError(f"{value} is no odd number from 3 on")
    return value


Window = Annotated[int | None, AfterValidator(_odd)]


class OptimizerParams(Section):
    """One optimizer of the grid; in params.yaml its name alone will do."""

    name: str = Field(
        description="`adadelta`, `adagrad`, `adam`, `adamax`, `adamw`, `muon`, `nadam`, `rmsprop` or `sgd`."
    )
    preset: Literal["pytorch", "keras", "tf.keras"] = Field(
        "pytorch",
        description="Whose defaults: PyTorch's, stand-alone Keras 1 and 2, or tf.keras 2 and Keras 3.",
    )
    label: Label = Field("", description="Name in trials and tables, when one optimizer stands twice in a grid.")
    lr: float | None = Field(None, gt=0, description="Learning rate; the preset's if absent, as with all that follow.")
    betas: tuple[DecayRate, DecayRate] | None = Field(None, description="Decay rates of Adam and its relatives.")
    rho: float | None = Field(None, gt=0, lt=1, description="Decay rate of Adadelta and RMSprop (PyTorch's `alpha`).")
    eps: float | None = Field(None, ge=0, description="What keeps a division from being one by zero.")
    momentum: float | None = Field(None, ge=0, lt=1, description="Momentum of SGD, RMSprop and Muon.")
    nesterov: bool | None = Field(None, description="Nesterov's momentum, for SGD and Muon.")
    weight_decay: float | None = Field(None, ge=0, description="Decoupled weight decay of AdamW and Muon.")

    @property
    def title(self) -> str:
        """The name in trials and tables."""
        return self.label or self.name


class LossTerm(Section):
    """One loss, as a term of a weighted sum."""

    name: str = Field(
        description="`mse`, `mae`, `bce`, `logcosh`, `mape`, `huber`, `charbonnier`, `psnr`, `ssim` or `ms-ssim`."
    )
    weight: float = Field(1.0, gt=0, description="What the term is multiplied by.")
    delta: float | None = Field(None, gt=0, description="Where Huber's loss turns from square to linear; 1 if absent.")
    eps: float | None = Field(None, gt=0, description="Width of Charbonnier's rounded tip; 0.001 if absent.")
    clip: bool = Field(
        False, description="For `bce`: clip the output of an unbounded network to (0, 1), as Keras does."
    )
    window: Window = Field(None, description="Side of the window of `ssim` and `ms-ssim`, odd; 11 if absent.")


class LossParams(Section):
    """One loss of the grid; in params.yaml its name alone will do."""

    name: str = Field(description="As in `terms`, or `sum`.")
    label: Label = Field("", description="Name in trials and tables, when one loss stands twice in a grid.")
    delta: float | None = Field(None, gt=0, description="As in `terms`.")
    eps: float | None = Field(None, gt=0, description="As in `terms`.")
    clip: bool = Field(False, description="As in `terms`.")
    window: Window = Field(None, description="As in `terms`.")
    terms: list[LossTerm] = Field([], description="For `sum`: the losses that are added up.")

    @property
    def title(self) -> str:
        """The name in trials and tables."""
        return self.label or ("-".join(term.name for term in self.terms) if self.terms else self.name)

    @property
    def summands(self) -> list[LossTerm]:
        """The loss as a weighted sum, which a single one is, too."""
        return self.terms or [LossTerm(**self.model_dump(exclude={"label", "terms"}))]

    @model_validator(mode="after")
    def _only_a_sum_has_terms(self) -> LossParams:
        if (self.name == "sum") != bool(self.terms):
            raise ValueError("`sum` needs `terms`, and no other loss has any")
        return self


def _spelled_out(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class TrainParams(Section):
    """The grid: every model with every optimizer, loss and seed, or with some pairs of an optimizer and a loss."""

    models: list[str] = Field(min_length=1, description="Models of the catalog.", json_schema_extra=GRID)
    optimizers: list[Annotated[OptimizerParams, BeforeValidator(_spelled_out)]] = Field(
        min_length=1, description="Optimizers: a name, or a mapping with name and options.", json_schema_extra=GRID
    )
    losses: list[Annotated[LossParams, BeforeValidator(_spelled_out)]] = Field(
        min_length=1, description="Training losses: a name, or a mapping with name and options.", json_schema_extra=GRID
    )
    pairs: list[str] = Field(
        [],
        description="Only these pairs, such as `adam-mse`, of an optimizer and a loss above; all if empty.",
        json_schema_extra=GRID,
    )
    seeds: list[int] = Field(
        [0], min_length=1, description="One trial per seed: first weights, order, noise.", json_schema_extra=GRID
    )
    epochs: int = Field(10, ge=1, description="Epochs of each trial.")
    patches_per_epoch: int = Field(
        0, ge=0, description="Patches of one epoch; 0 is all. Epochs go on where the last one stopped."
    )
    batch_size: int = Field(8, ge=1, description="Patches that go through the network at once.")
    accumulate: int = Field(1, ge=1, description="Batches whose gradients make one optimizer step.")
    clip_norm: float | None = Field(None, gt=0, description="Largest norm of a step's gradient; longer ones are cut.")
    schedule: Literal["constant", "step", "cosine"] = Field(
        "constant", description="Learning rate over the steps: constant, falling in steps, or to 0 as half a cosine."
    )
    step_epochs: Epochs | Annotated[list[Epochs], Field(min_length=1)] = Field(
        10,
        description="For `step`: epochs between two steps of the learning rate, or a list of the epochs after which it "
        "steps.",
    )
    step_factor: float = Field(0.1, gt=0, le=1, description="For `step`: what each multiplies the learning rate by.")
    warmup_steps: int = Field(0, ge=0, description="Steps over which the learning rate first rises from 0.")
    ema: float | None = Field(
        None, gt=0, lt=1, description="Decay of averaged weights, which are then the ones validated and kept."
    )
    keep: Literal["last", "best"] = Field(
        "last", description="Which weights a trial leaves: the last epoch's, or those with the best validation PSNR."
    )
    patience: int = Field(
        0, ge=0, description="Stop after so many epochs without a better validation PSNR; 0 is never."
    )
    augment: Literal["none", "dihedral"] = Field(
        "dihedral", description="Fresh geometric augmentation: none, or one of the 8 flips and quarter turns."
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
        1, ge=1, description="CPU threads of one trial; on the other cores further trials run side by side."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to compute.", json_schema_extra=HOW)
    retries: int = Field(
        1,
        ge=0,
        description="How often a trial that failed is tried again before it is given up.",
        json_schema_extra=HOW,
    )
    on_failure: Literal["report", "stop"] = Field(
        "report",
        description="What a trial that was given up does to the study: reported, or the stage fails.",
        json_schema_extra=HOW,
    )
    checkpoint_seconds: float = Field(
        20, ge=0, description="Time between two checkpoints of a trial; 0 is after every step.", json_schema_extra=HOW
    )

    @property
    def cells(self) -> list[tuple[OptimizerParams, LossParams]]:
        """The pairs of an optimizer and a loss that each model is trained with, in the grid's order."""
        product = itertools.product(self.optimizers, self.losses)
        return [
            (optimizer, loss) for optimizer, loss in product if not self.pairs or _pair(optimizer, loss) in self.pairs
        ]

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
                raise ValueError(f"{axis}: {', '.join(twice)} stands there twice")
        pairs = itertools.product(axes["optimizers"], axes["losses"])  # type: ignore[call-overload]
        names = [f"{model}-{optimizer}-{loss}" for optimizer, loss in pairs for model in self.models]
        first: dict[str, str] = {}
        for name in names:
            # NOTE: each trial has a folder, and some file systems ignore case.
            other = first.setdefault(name.casefold(), name)
            if names.count(name) > 1:
                raise ValueError(f"two cells are both called {name}; a label tells them apart")
            if other != name:
                raise ValueError(f"the cells {other} and {name} differ only in case; a label tells them apart")
        return self

    @model_validator(mode="after")
    def _has_what_the_pairs_name(self) -> TrainParams:
        known = [_pair(*both) for both in itertools.product(self.optimizers, self.losses)]
        for pair in self.pairs:
            if pair not in known:
                raise ValueError(f"pairs: no optimizer and loss of this study make {pair!r}{nearest(pair, known)}")
        return self


def _pair(optimizer: OptimizerParams, loss: LossParams) -> str:
    return f"{optimizer.title}-{loss.title}"
