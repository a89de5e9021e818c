"""Every optimizer that `train.optimizers` may ask for."""

from __future__ import annotations

from typing import get_args

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

AnyOptimizer = Adadelta | Adagrad | Adam | Adamax | AdamW | Muon | Nadam | RMSprop | SGD

OPTIMIZERS: tuple[type[Optimizer], ...] = get_args(AnyOptimizer)
