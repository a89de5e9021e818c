"""Every optimizer that `train.optimizers` may ask for."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from degrain import catalogs
from degrain.declaration import spelled_out
from degrain.optimizers.adadelta import Adadelta
from degrain.optimizers.adagrad import Adagrad
from degrain.optimizers.adam import Adam
from degrain.optimizers.adamax import Adamax
from degrain.optimizers.adamw import AdamW
from degrain.optimizers.base import Optimizer
from degrain.optimizers.muon import Muon
from degrain.optimizers.nadam import Nadam
from degrain.optimizers.rmsprop import RMSprop
from degrain.optimizers.sgd import SGD

Kind = Adadelta | Adagrad | Adam | Adamax | AdamW | Muon | Nadam | RMSprop | SGD


OPTIMIZERS: tuple[type[Optimizer], ...] = catalogs.optimizers(catalogs.classes(Optimizer, Kind))

# An entry of a grid: a name, or a mapping with name and options.
AnyOptimizer = Annotated[Kind, Field(discriminator="name"), BeforeValidator(spelled_out)]
