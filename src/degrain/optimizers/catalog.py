"""Every optimizer by name, with the defaults and the update rule of the framework that a study follows.

Presets: "pytorch" (torch.optim); "keras" (stand-alone Keras 1 and 2.0-2.3: keras/optimizers.py of Keras 2.2);
"tf.keras" (tf.keras 2 and Keras 3: keras/src/optimizers/ of Keras 3.15). Where generations of one preset differ, the
newest counts: epsilon is 1e-7 in "keras" although Keras 1 had 1e-8, and RMSprop and Nadam of "tf.keras" are those
since TensorFlow 2.11. torch.optim's classes do the work wherever they take the same path; `keras_rules` and `muon`
have the others.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from degrain.errors import ParamsError, nearest
from degrain.params.train import OptimizerParams

if TYPE_CHECKING:
    import torch

BETAS = (0.9, 0.999)


@dataclass(frozen=True)
class Rule:
    """One optimizer as one preset has it.

    Attributes:
        where: Module and class.
        options: What params.yaml may set, with the preset's defaults.
        constants: Arguments that the preset fixes and that decide the updates, too.
        fast: Arguments that choose the fastest of torch's implementations of the same updates.
    """

    where: str
    options: dict[str, Any]
    constants: dict[str, Any] = field(default_factory=dict)
    fast: dict[str, bool] = field(default_factory=dict)


def _torch(name: str, options: dict[str, Any], constants: dict[str, Any] | None = None, *, fused: bool = False) -> Rule:
    return Rule(f"torch.optim:{name}", options, constants or {}, {"fused" if fused else "foreach": True})


def _keras(name: str, options: dict[str, Any], constants: dict[str, Any] | None = None) -> Rule:
    return Rule(f"degrain.optimizers.keras_rules:{name}", options, constants or {})


# Preset -> optimizer -> rule.
RULES: dict[str, dict[str, Rule]] = {
    "pytorch": {
        "adadelta": _torch("Adadelta", {"lr": 1.0, "rho": 0.9, "eps": 1e-6}),
        "adagrad": _torch("Adagrad", {"lr": 0.01, "eps": 1e-10}, fused=True),
        "adam": _torch("Adam", {"lr": 0.001, "betas": BETAS, "eps": 1e-8}, fused=True),
        "adamax": _torch("Adamax", {"lr": 0.002, "betas": BETAS, "eps": 1e-8}),
        "adamw": _torch("AdamW", {"lr": 0.001, "betas": BETAS, "eps": 1e-8, "weight_decay": 0.01}, fused=True),
        "muon": Rule(
            "degrain.optimizers.muon:Muon",
            {"lr": 0.001, "momentum": 0.95, "nesterov": True, "weight_decay": 0.1, "betas": BETAS, "eps": 1e-8},
        ),
        "nadam": _torch("NAdam", {"lr": 0.002, "betas": BETAS, "eps": 1e-8}, {"momentum_decay": 0.004}),
        "rmsprop": _torch("RMSprop", {"lr": 0.01, "rho": 0.99, "eps": 1e-8, "momentum": 0.0}),
        "sgd": _torch("SGD", {"lr": 0.001, "momentum": 0.0, "nesterov": False}),
    },
    "keras": {
        "adadelta": _torch("Adadelta", {"lr": 1.0, "rho": 0.95, "eps": 1e-7}),
        "adagrad": _torch("Adagrad", {"lr": 0.01, "eps": 1e-7}, fused=True),
        "adam": _keras("Adam", {"lr": 0.001, "betas": BETAS, "eps": 1e-7}),
        "adamax": _keras("Adamax", {"lr": 0.002, "betas": BETAS, "eps": 1e-7}),
        "nadam": _torch("NAdam", {"lr": 0.002, "betas": BETAS, "eps": 1e-7}, {"momentum_decay": 0.004}),
        "rmsprop": _torch("RMSprop", {"lr": 0.001, "rho": 0.9, "eps": 1e-7}),
        "sgd": _keras("SGD", {"lr": 0.01, "momentum": 0.0, "nesterov": False}),
    },
    "tf.keras": {
        "adadelta": _torch("Adadelta", {"lr": 0.001, "rho": 0.95, "eps": 1e-7}),
        "adagrad": _keras("Adagrad", {"lr": 0.001, "eps": 1e-7}, {"initial_accumulator_value": 0.1}),
        "adam": _keras("Adam", {"lr": 0.001, "betas": BETAS, "eps": 1e-7}),
        "adamax": _keras("Adamax", {"lr": 0.001, "betas": BETAS, "eps": 1e-7}),
        "adamw": _keras("Adam", {"lr": 0.001, "betas": BETAS, "eps": 1e-7, "weight_decay": 0.004}),
        # Keras 3 lets Nadam's momentum rise by 0.96^t, where Dozat, Keras 2 and PyTorch have 0.96^(0.004 t).
        "nadam": _torch("NAdam", {"lr": 0.001, "betas": BETAS, "eps": 1e-7}, {"momentum_decay": 1.0}),
        "rmsprop": _keras("RMSprop", {"lr": 0.001, "rho": 0.9, "eps": 1e-7, "momentum": 0.0}),
        "sgd": _keras("SGD", {"lr": 0.01, "momentum": 0.0, "nesterov": False}),
    },
}


def settings(params: OptimizerParams) -> dict[str, Any]:
    """Return everything that decides an optimizer's updates, the preset's defaults filled in, ready for JSON.

    Raises:
        ParamsError: The preset has no such optimizer, the optimizer no such option, or the options contradict.
    """
    rule = _rule(params)
    chosen = params.model_dump(mode="json", exclude={"name", "preset", "label"}, exclude_none=True)
    for option in chosen:
        if option not in rule.options:
            raise ParamsError(
                f"train.optimizers: {params.name} has no {option} in preset {params.preset}"
                f"{nearest(option, rule.options)}"
            )
    filled = {"preset": params.preset} | rule.options | rule.constants | chosen
    if filled.get("nesterov") and not filled["momentum"]:
        raise ParamsError(f"train.optimizers: {params.name} with nesterov needs a momentum above 0")
    return {name: list(value) if isinstance(value, tuple) else value for name, value in filled.items()}


def build(params: OptimizerParams, network: torch.nn.Module) -> torch.optim.Optimizer:
    """Make the optimizer for a network.

    Args:
        params: Which one, and its options.
        network: Already on its device and in its memory format, in which the optimizer's state is kept, too.

    Returns:
        An optimizer each of whose `param_groups` has its learning rate under `lr` and `initial_lr`. Its `state_dict`
        holds tensors and what JSON can hold; after `load_state_dict` it goes on with the same bits, in whatever
        memory format the tensors were stored.

    Raises:
        ParamsError: See `settings`.
    """
    rule, arguments = _rule(params), settings(params)
    del arguments["preset"]
    module, name = rule.where.split(":")
    if rule.where == "torch.optim:RMSprop":
        arguments["alpha"] = arguments.pop("rho")
    make = getattr(importlib.import_module(module), name)
    optimizer: torch.optim.Optimizer = make(network.parameters(), **arguments, **rule.fast)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    optimizer.register_load_state_dict_post_hook(_lay_out_like_weights)
    return optimizer


def _rule(params: OptimizerParams) -> Rule:
    rules = RULES[params.preset]
    if params.name in rules:
        return rules[params.name]
    having = [preset for preset, others in RULES.items() if params.name in others]
    if having:
        raise ParamsError(
            f"train.optimizers: preset {params.preset} has no {params.name}; take preset {' or '.join(having)}"
        )
    raise ParamsError(f"train.optimizers: unknown optimizer {params.name!r}{nearest(params.name, rules)}")


def _lay_out_like_weights(optimizer: torch.optim.Optimizer) -> None:
    """Give loaded state the memory format of its weights.

    Safetensors keeps no memory format, and torch's fused kernels walk through weight and state in the order in which
    they lie in memory: with different orders their updates are silently wrong.
    """
    import torch

    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if value.shape == weight.shape and value.stride() != weight.stride():
                state[name] = torch.empty_like(weight).copy_(value)
