"""Whether a study as a whole can run: every name known, every cell of the grid possible, before anything starts."""

from __future__ import annotations

from pathlib import Path

from rich.filesize import decimal

from degrain.baselines import catalog as baselines
from degrain.errors import ModelError, ParamsError
from degrain.ingest.datasets import catalog as datasets
from degrain.machine import compute
from degrain.metrics.catalog import METRICS
from degrain.networks import catalog as models
from degrain.params.study import Params
from degrain.patches import needs

# Where the store will be.
PREPARED = Path("data/prepared")
# Bytes of a value, and how often a batch is there at least: clean, noisy, output, and the gradient of that.
FLOAT, PASSES = 4, 4


def check(params: Params) -> None:
    """Refuse a study that cannot work.

    Raises:
        ParamsError: An unknown data set, model or baseline (with the nearest name), noise that the images cannot have,
            patches too small for a metric, or a cell of the grid that cannot work.
    """
    datasets.spec(params.data.dataset)
    baselines.check(params.evaluate.baselines)
    _check_noise(params)
    for metric in METRICS.values():
        if params.prepare.patch_size < metric.smallest:
            raise ParamsError(
                f"prepare.patch_size: {metric.title} needs at least {metric.smallest} pixels, "
                f"not {params.prepare.patch_size}"
            )
    for model in params.train.models:
        _check_model(model, params)
    _check_needs(params)


def _check_needs(params: Params) -> None:
    """Refuse a patch store that is larger than the disk or memory, by what is known of the images beforehand."""
    expected, prepare = datasets.spec(params.data.dataset).expected, params.prepare
    images = sum(expected.counts.values()) or 1
    images = min(images, params.data.limit or images)
    smallest, largest = expected.side
    known = smallest if smallest == largest or not prepare.crops else prepare.patch_size
    patches = needs.patches_of(known, known, prepare)
    channels = {"keep": min(expected.channels), "gray": 1, "rgb": 3}[prepare.color]
    needs.estimate(images * patches, patches, channels, prepare).check(PREPARED)
    batch = params.train.batch_size * prepare.patch_size**2 * channels * FLOAT * PASSES
    if batch > compute.memory():
        raise ParamsError(
            f"train.batch_size: a batch of {params.train.batch_size} patches of {prepare.patch_size} pixels needs at "
            f"least {decimal(batch)}, and {decimal(compute.memory())} is the memory here"
        )


def _check_noise(params: Params) -> None:
    """Refuse noise that the images of the data set cannot have."""
    noise, dataset = params.prepare.noise, params.data.dataset
    spec = datasets.spec(dataset)
    if noise.paired and not spec.pairs:
        raise ParamsError(f"prepare.noise: {noise.kind} needs a data set of pairs, which {dataset} is not")
    if spec.light == "linear" and noise.on_srgb:
        raise ParamsError(
            f"prepare.noise: {noise.kind} takes the images for sRGB, and those of {dataset} are in linear light; "
            "set prepare.noise.linear: false"
        )
    published = params.validation.channels or spec.expected.channels
    channels = {"keep": published, "gray": [1], "rgb": [3]}[params.prepare.color]
    if not any(map(noise.accepts, channels)):
        raise ParamsError(
            f"prepare.noise: {noise.kind} cannot be added to images of {' or '.join(map(str, channels))} channels"
        )


def _check_model(model: str, params: Params) -> None:
    """Refuse a network that cannot take the patches, or a loss that cannot work with it."""
    size = params.prepare.patch_size
    try:
        spec = models.spec(model)
    except ModelError as error:
        raise ParamsError(f"train.models: {error}") from None
    if problem := spec.problem(size):
        raise ParamsError(f"prepare.patch_size: {model} {problem}")
    for _, loss in params.train.cells:
        if problem := loss.problem(spec.bounded, size):
            raise ParamsError(f"train.losses: {loss.title} with {model}: {problem}")
