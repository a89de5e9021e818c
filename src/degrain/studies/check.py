"""Whether a study as a whole can run: every name known, every cell of the grid possible, before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.filesize import decimal

from degrain import catalogs, signatures
from degrain.baselines import catalog as baselines
from degrain.errors import ModelError, ParamsError, nearest
from degrain.evaluation import protocol
from degrain.ingest.datasets import catalog as datasets
from degrain.ingest.datasets import expectations, judgement
from degrain.ingest.datasets.spec import DatasetSpec
from degrain.machine import compute
from degrain.metrics.catalog import METRICS
from degrain.networks import catalog as models
from degrain.optimizers.base import Optimizer
from degrain.params.data import DataParams
from degrain.params.prepare import PrepareParams
from degrain.params.study import Params
from degrain.params.train import TrainParams
from degrain.patches import needs
from degrain.pixels import Light
from degrain.provenance import digests
from degrain.studies import array_probes
from degrain.training import first_weights
from degrain.training.trial import expand

# Where the store will be.
PREPARED = Path("data/prepared")
# Bytes of a value, and how often a batch is there at least: clean, noisy, output, and the gradient of that.
FLOAT, PASSES = 4, 4


def check(params: Params) -> None:
    """Refuse a study that cannot work.

    Raises:
        ParamsError: An unknown data set, model, baseline or expectation (with the nearest name), classes, columns or
            parts that the data set does not have, noise or sizes that the images cannot have, patches too small for a
            metric, a cell of the grid that cannot work, or a network or an optimizer whose code cannot be called as it
            is declared. PyTorch is not imported for that: what only running them shows is left to
            `degrain.studies.network_probes`.
    """
    spec = datasets.spec(params.data.dataset)
    _check_selection(params.data, spec)
    _check_split(params, spec)
    judgement.check_allowed(params.validation, expectations.names(spec, params.data.labels))
    _check_sides(params, spec)
    baselines.check(params.evaluate.baselines)
    _check_names(params)
    _check_noise(params)
    array_probes.check_metrics()
    for metric in METRICS.values():
        if params.prepare.patch_size < metric.smallest:
            raise ParamsError(
                f"prepare.patch_size: {metric.title} needs at least {metric.smallest} pixels, "
                f"not {params.prepare.patch_size}"
            )
    for model in params.train.models:
        _check_model(model, params)
    for optimizer in params.train.optimizers:
        _check_optimizer(optimizer)
    _check_needs(params)


def check_code(params: Params) -> None:
    """Refuse code that no key can follow: it imports by names that it computes, or what is no installed package.

    Raises:
        ParamsError: Some does; the message begins with its file.
    """
    for model in params.train.models:
        for trial in expand(params.train, model):
            digests.versions(trial.code(params.prepare.noise))
    protocol.versions()


def _check_selection(data: DataParams, spec: DatasetSpec) -> None:
    """Refuse classes and values of columns that the listing of the data set does not have."""
    if data.labels and "label" not in spec.columns:
        raise ParamsError(f"data.labels: the images of {data.dataset} have no label")
    for column, values in data.only.items():
        _check_column(f"data.only.{column}", column, data.dataset, spec.listed)
        for value in values if column == "part" else ():
            if value not in spec.parts:
                raise ParamsError(f"data.only.part: {data.dataset} has no part {value!r}{nearest(value, spec.parts)}")


def _check_split(params: Params, spec: DatasetSpec) -> None:
    """Refuse a split by what the manifest of the data set does not have."""
    split, dataset = params.prepare.split, params.data.dataset
    # NOTE: camera raw files say which camera took them, and only data sets of any files hold some.
    known = [*spec.listed, *(["camera"] if spec.light is None else [])]
    if split.by != "copy":
        _check_column("prepare.split.by", split.by, dataset, known)
    for column in split.apart:
        _check_column("prepare.split.apart", column, dataset, known)
    kept = params.data.only.get("part", spec.parts)
    for name, held_out in (("val", split.val), ("test", split.test)):
        if held_out == "published" and name not in spec.parts:
            raise ParamsError(f"prepare.split.{name}: the publisher of {dataset} has no {name} part")
        if held_out == "published" and name not in kept:
            raise ParamsError(f"prepare.split.{name}: data.only.part leaves the published {name} part out")


def _check_column(key: str, column: str, dataset: str, known: Sequence[str]) -> None:
    if column not in known:
        raise ParamsError(f"{key}: the images of {dataset} have no {column}{nearest(column, known)}")


def _check_names(params: Params) -> None:
    """Refuse a baseline that is called as a trial is; tables have both by their names."""
    trials = {trial.name for model in params.train.models for trial in expand(params.train, model)}
    for name in params.evaluate.baselines:
        if name in trials:
            raise ParamsError(f"evaluate.baselines: {name} is the name of a trial, too; rename the baseline")


def _check_sides(params: Params, spec: DatasetSpec) -> None:
    """Refuse sizes of images that nothing can have, or that no patch can be cut out of."""
    smallest, largest = expectations.Limits.of(spec.expected, params.validation).side
    if smallest > largest:
        own = " (the data set's own)"
        raise ParamsError(
            f"validate.min_side: {smallest}{own if params.validation.min_side is None else ''} is more than "
            f"validate.max_side: {largest}{own if params.validation.max_side is None else ''}"
        )
    prepare = params.prepare
    size, least = prepare.patch_size, prepare.patch_size * min(prepare.shrink)
    if prepare.resize and min(prepare.resize.size) < least:
        width, height = prepare.resize.size
        raise ParamsError(f"prepare.resize.size: no patch of {size} pixels fits into {width}x{height}")
    if not prepare.resize and largest < least and not {"width", "height"} <= set(params.validation.allow):
        raise ParamsError(
            f"prepare.patch_size: no patch of {size} pixels fits into images of at most {largest} pixels a side"
        )


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
    if noise.stand_in and spec.pairs:
        raise ParamsError(f"prepare.noise: {noise.kind} is for images without clean ones, and {dataset} has them")
    check_exposure(params.prepare, params.train, spec.light)
    possible = channels(params)
    if not any(map(noise.accepts, possible)):
        raise ParamsError(
            f"prepare.noise: {noise.kind} cannot be added to images of {' or '.join(map(str, possible))} channels"
        )


def channels(params: Params) -> Sequence[int]:
    """Return how many channels the patches of a study may have, by what is known of the images beforehand."""
    published = params.validation.channels or datasets.spec(params.data.dataset).expected.channels
    return {"keep": published, "gray": [1], "rgb": [3]}[params.prepare.color]


def _check_model(model: str, params: Params) -> None:
    """Refuse a network that cannot take the patches, or a loss that cannot work with it."""
    try:
        spec = models.spec(model)
    except ModelError as error:
        raise ParamsError(f"train.models: {error}") from None
    signatures.check_network(spec)
    possible = channels(params)
    if params.train.start:
        known = possible[0] if len(possible) == 1 else None
        first_weights.check(params.train.start, model, known, datasets.spec(params.data.dataset).light)
    check_fit(model, params.prepare, params.train)


def check_fit(model: str, prepare: PrepareParams, train: TrainParams) -> None:
    """Refuse a network that cannot take the patches, or a loss that cannot work with it.

    Args:
        model: A name of the catalog.
        prepare: What the patches are like.
        train: With which losses.

    Raises:
        ParamsError: It does not fit.
    """
    spec, size = models.spec(model), prepare.patch_size
    if problem := spec.problem(size):
        raise ParamsError(f"prepare.patch_size: {model} {problem}")
    if prepare.noise.stand_in:
        size //= 2
        _check_without_truth(model, prepare, train)
    for _, loss in train.cells:
        if problem := loss.problem(spec.bounded, size):
            raise ParamsError(f"train.losses: {loss.title} with {model}: {problem}")


def check_exposure(prepare: PrepareParams, train: TrainParams, light: Light | None) -> None:
    """Refuse darker patches where noise is fixed, or values are no sRGB; light is None where nobody knows it yet.

    Raises:
        ParamsError: The study asks for such patches.
    """
    fixed = prepare.noise.paired or prepare.noise.stand_in or prepare.copies
    if train.exposure and (fixed or light == "linear"):
        raise ParamsError("train.exposure: only sRGB images with fresh noise can become darker")


def _check_without_truth(model: str, prepare: PrepareParams, train: TrainParams) -> None:
    """Refuse a network that cannot take halved patches, too, and a loss that noise in its targets biases."""
    spec, kind = models.spec(model), prepare.noise.kind
    if spec.fixed_size:
        raise ParamsError(f"train.models: {model} takes one size only, and {kind} noise halves some of the patches")
    if problem := spec.problem(prepare.patch_size // 2):
        raise ParamsError(f"prepare.patch_size: {kind} noise halves patches, and {model} {problem}")
    for loss in train.losses:
        if not loss.of_means:
            raise ParamsError(
                f"train.losses: {kind} noise is in the targets, too, whose mean {loss.title} does not find; use mse"
            )


def _check_optimizer(optimizer: Optimizer) -> None:
    """Refuse an optimizer whose class is missing or lacks an option."""
    file, rule = catalogs.file_of(type(optimizer).__module__), optimizer.rules[optimizer.preset]
    signatures.check(file, rule.where, "parameters", **optimizer.arguments())
