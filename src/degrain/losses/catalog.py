"""Training losses: each the mean over the images of a batch, and computed in float32 whatever the network computes in.

All take (output, clean), both (N, C, H, W): the output of any range and floating type, the clean images in [0, 1].
All images of a batch weigh the same, so that the losses of its parts, weighted by their sizes, add up to that of
the batch. Outputs of type float64 are not rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from degrain.errors import ParamsError, nearest
from degrain.losses import structural
from degrain.params.train import LossParams, LossTerm

if TYPE_CHECKING:
    from torch import Tensor

    Loss = Callable[[Tensor, Tensor], Tensor]

# Keras's `epsilon()`: how near to 0 and 1 a logarithm, and to 0 a divisor, may come.
KERAS_EPSILON = 1e-7

# Added to the mean squared error of which PSNR takes the logarithm: 80 dB at the most.
PSNR_FLOOR = 1e-8


def mse(output: Tensor, clean: Tensor) -> Tensor:
    """Mean squared error."""
    return _error(output, clean).square().mean()


def mae(output: Tensor, clean: Tensor) -> Tensor:
    """Mean absolute error."""
    return _error(output, clean).abs().mean()


def bce(output: Tensor, clean: Tensor) -> Tensor:
    """Binary cross-entropy, as Keras computes it from probabilities.

    Its least value is not 0 but the mean binary entropy of the clean images' pixels, ln 2 where they are grey: values
    are not comparable between data sets. Where the output leaves [1e-7, 1 - 1e-7] it is clipped, and has no gradient.
    """
    output, clean = _precise(output, clean)
    output = output.clamp(KERAS_EPSILON, 1 - KERAS_EPSILON)
    return -(clean * output.log() + (1 - clean) * (1 - output).log()).mean()


def logcosh(output: Tensor, clean: Tensor) -> Tensor:
    """Mean logarithm of the error's hyperbolic cosine: about half the squared error, of large errors the absolute one.

    The same as Keras's x + softplus(-2x) - log 2, but in a form that is exact for small errors, too.
    """
    size = _error(output, clean).abs()
    return (size + ((-2 * size).expm1() / 2).log1p()).mean()


def mape(output: Tensor, clean: Tensor) -> Tensor:
    """Mean absolute error in percent of the clean pixel, taken as at least 1e-7, as in Keras.

    A black clean pixel thus weighs 10 million times a white one.
    """
    output, clean = _precise(output, clean)
    return 100 * ((output - clean) / clean.abs().clamp(min=KERAS_EPSILON)).abs().mean()


def huber(output: Tensor, clean: Tensor, delta: float) -> Tensor:
    """Half the squared error where the error is at most delta, and a line of slope delta beyond, as in Keras.

    Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35(1), 1964.
    """
    size = _error(output, clean).abs()
    within = size.clamp(max=delta)
    return (within * (size - within / 2)).mean()


def charbonnier(output: Tensor, clean: Tensor, eps: float) -> Tensor:
    """Mean of sqrt(error**2 + eps**2): the absolute error with a rounded tip; eps, not 0, at its least.

    Charbonnier et al., "Two deterministic half-quadratic regularization algorithms for computed imaging", ICIP 1994;
    as a loss of networks: Lai et al., "Deep Laplacian pyramid networks", CVPR 2017, with eps 0.001.
    """
    return (_error(output, clean).square() + eps**2).sqrt().mean()


def psnr(output: Tensor, clean: Tensor) -> Tensor:
    """Minus the peak signal-to-noise ratio in dB of data range 1, mean over the images; at least -80.

    As Chen et al., "HINet: half instance normalization network for image restoration", CVPR Workshops 2021, train:
    1e-8 is added to each image's mean squared error, so that a perfect image has a finite gradient.
    """
    return 10 * (_error(output, clean).square().mean(dim=(1, 2, 3)) + PSNR_FLOOR).log10().mean()


def ssim(output: Tensor, clean: Tensor, window: int = structural.WINDOW) -> Tensor:
    """1 - SSIM, mean over the images, which must be as large as the window; see `structural`."""
    return 1 - structural.ssim(*_precise(output, clean), window).mean()


def ms_ssim(output: Tensor, clean: Tensor, window: int = structural.WINDOW) -> Tensor:
    """1 - MS-SSIM, mean over the images, which must be at least 161x161 for a window of 11; see `structural`."""
    return 1 - structural.ms_ssim(*_precise(output, clean), window).mean()


LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": mse,
    "mae": mae,
    "bce": bce,
    "logcosh": logcosh,
    "mape": mape,
    "huber": huber,
    "charbonnier": charbonnier,
    "psnr": psnr,
    "ssim": ssim,
    "ms-ssim": ms_ssim,
}

# The options that decide a loss's value, and the losses that each option of params.yaml belongs to.
DEFAULTS: dict[str, dict[str, Any]] = {
    "huber": {"delta": 1.0},
    "charbonnier": {"eps": 1e-3},
    "ssim": {"window": structural.WINDOW},
    "ms-ssim": {"window": structural.WINDOW},
}
OWNERS = {"delta": ["huber"], "eps": ["charbonnier"], "clip": ["bce"], "window": ["ssim", "ms-ssim"]}


def build(params: LossParams) -> Loss:
    """Make a loss: a function of (output, clean) to a scalar tensor, the mean over the images.

    Raises:
        ParamsError: As `settings`.
    """
    settings(params)
    terms = [(term.weight, _function(term)) for term in params.summands]
    if len(terms) == 1 and terms[0][0] == 1:
        return terms[0][1]

    def weighted_sum(output: Tensor, clean: Tensor) -> Tensor:
        (weight, first), *others = terms
        total = weight * first(output, clean)
        for weight, loss in others:
            total = total + weight * loss(output, clean)
        return total

    return weighted_sum


def settings(params: LossParams) -> dict[str, Any]:
    """Return everything that decides a loss's value, defaults filled in, ready for JSON.

    `clip` is not among it: cross-entropy always clips, and the option only says that an unbounded output may be.

    Raises:
        ParamsError: Unknown loss, or an option that it does not have.
    """
    if params.name != "sum":
        (term,) = params.summands
        return {"name": term.name, **_options(term)}
    _given(params)
    return {
        "name": "sum",
        "terms": [{"name": term.name, "weight": term.weight, **_options(term)} for term in params.terms],
    }


def problem(params: LossParams, bounded: bool, patch_size: int) -> str | None:
    """Say why a loss cannot train a network, or None when it can.

    Args:
        params: Of the loss.
        bounded: Whether the network's output lies in [0, 1] by construction.
        patch_size: Side of the training patches, in pixels.
    """
    for term in params.summands:
        if term.name == "bce" and not (bounded or term.clip):
            return (
                "bce takes logarithms of the output, which this network does not keep within 0 and 1; set `clip: true`,"
                " which clips it as Keras does, or take a network that ends in a sigmoid"
            )
        if patch_size < (side := _least_side(term)):
            return f"{term.name} needs a patch size of at least {side}, not {patch_size}"
    return None


def _least_side(term: LossTerm) -> int:
    window: int = _options(term).get("window", 1)
    return structural.ms_ssim_side(window) if term.name == "ms-ssim" else window


def _function(term: LossTerm) -> Loss:
    options = _options(term)
    return partial(LOSSES[term.name], **options) if options else LOSSES[term.name]


def _options(term: LossTerm) -> dict[str, Any]:
    """The options that decide the value of one loss, defaults filled in."""
    if term.name not in LOSSES:
        raise ParamsError(
            f"train.losses: unknown loss {term.name!r}{nearest(term.name, {*LOSSES, 'sum'} - {term.name})}"
        )
    given = _given(term)
    return {option: given.get(option, value) for option, value in DEFAULTS.get(term.name, {}).items()}


def _given(term: LossTerm | LossParams) -> dict[str, Any]:
    """The options that were given, all of which the loss must have."""
    given = term.model_dump(include=set(OWNERS), exclude_defaults=True)
    for option in given:
        if term.name not in OWNERS[option]:
            owners = " and ".join(f"{owner}'s" for owner in OWNERS[option])
            raise ParamsError(f"train.losses: {term.name} has no {option}, which is {owners}")
    return given


def _error(output: Tensor, clean: Tensor) -> Tensor:
    output, clean = _precise(output, clean)
    return output - clean


def _precise(output: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float32, or in float64 if the output is."""
    import torch

    dtype = torch.promote_types(output.dtype, torch.float32)
    return output.to(dtype), clean.to(dtype)
