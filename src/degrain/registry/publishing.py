"""Publishing a grid to MLflow: a parent run with one run per trial, however often it is repeated.

A run is found again by its key, and completed with what it lacks. So nothing is lost and nothing is doubled.
"""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from PIL import Image

from degrain import files
from degrain.artifacts.history import COLUMNS, CURVES, Epoch
from degrain.artifacts.ranking import Ranking
from degrain.artifacts.trial import TrialRecord
from degrain.evaluation import summary
from degrain.packaging import package
from degrain.registry import origin, runs, tags
from degrain.snapshots import Snapshot
from degrain.trials import origins

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

PARENT = "mlflow.parentRunId"
# With this behind a link MLflow opens its pages for training, and not those for language models.
MODE = "?workflowType=machine_learning"
# What MLflow calls the sides of a patch store, and where that lies.
CONTEXTS = {"training": "train", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class Grid:
    """What is published.

    Attributes:
        study: Its name.
        title: Its title.
        trials: All of the study, by name.
        histories: For each trial, its history.
        scores: For each trial that is done its means, see `degrain.evaluation.summary`.
        ranking: What evaluate wrote.
        tags: Where all of it comes from, such as the data; the commit is that of each trial.
        artifacts: Files that go to the parent run as they are.
        figures: A folder of pictures that goes there, too.
        pictures: A folder with a folder of each test patch that is shown: noisy.png, clean.png and one of each trial.
        dataset: Name of the data set.
        prepared: Folder of the patch store, as DVC knows it.
        counts: Samples of each of its splits.
        made_of: What a registered version carries, see `degrain.registry.origin`.
        checked: What was held against records, and is published after that.
    """

    study: str
    title: str
    trials: Mapping[str, TrialRecord]
    histories: Mapping[str, pd.DataFrame]
    scores: Mapping[str, dict[str, float]]
    ranking: Ranking
    tags: Mapping[str, str]
    artifacts: tuple[Path, ...]
    figures: Path
    pictures: Path
    dataset: str
    prepared: Path
    counts: Mapping[str, int]
    made_of: Mapping[str, bytes]
    checked: tuple[Snapshot, ...] = ()

    @property
    def key(self) -> str:
        """Hash of the trials and of what came out of them."""
        return files.digest([{name: trial.key for name, trial in self.trials.items()}, self.scores])[:20]

    def epochs(self, name: str) -> list[Epoch]:
        """Return what each epoch of a trial left."""
        return [Epoch(*row) for row in self.histories[name][list(COLUMNS)].itertuples(index=False)]


def publish(client: MlflowClient, experiment: str, grid: Grid) -> tuple[str, dict[str, str]]:
    """Publish a grid.

    Args:
        client: The connection.
        experiment: Id of the experiment.
        grid: What to publish.

    Returns:
        The parent's run id, and the run id of each trial.
    """
    mirror = runs.Mirror(client, experiment, grid.study)
    children = {name: mirror.send(runs.Seen(trial, grid.epochs(name))) for name, trial in grid.trials.items()}
    parent, finished = _parent(client, experiment, grid)
    for name, run in children.items():
        _complete(client, experiment, run, parent, grid, name)
    if not finished:
        trial = grid.trials[grid.ranking.champion]
        client.set_tag(parent, "degrain.champion", trial.name)
        _score(client, client.get_run(parent), grid.scores[trial.name], trial)
    client.set_tag(parent, runs.DESCRIPTION, _described(grid, experiment, children))
    with runs.storing(client, parent):
        client.log_artifacts(parent, str(grid.figures), "figures")
        for path in grid.artifacts:
            client.log_artifact(parent, str(path))
    with runs.storing(client, parent, through_temporary=True):
        for name in (origin.PARAMS, origin.LOCK):
            if name in grid.made_of:
                client.log_text(parent, grid.made_of[name].decode(), name)
    if not finished:
        client.set_terminated(parent, "FINISHED", runs.milliseconds(max(trial.ended for trial in grid.trials.values())))
    return parent, children


def _parent(client: MlflowClient, experiment: str, grid: Grid) -> tuple[str, bool]:
    """Return the study's run, made now unless it is there, and whether it is finished."""
    found = runs.of_key(client, experiment, grid.key)
    whole = [run for run in found if run.info.status == "FINISHED"]
    if run := next(iter(whole or found), None):
        return str(run.info.run_id), bool(whole)
    made = client.create_run(
        experiment,
        start_time=runs.milliseconds(min(trial.began for trial in grid.trials.values())),
        run_name=grid.study,
        tags={
            tags.KEY: grid.key,
            tags.STUDY: grid.study,
            tags.COMMIT: origins.commits(grid.trials.values()),
            **grid.tags,
        },
    )
    return str(made.info.run_id), False


def _complete(client: MlflowClient, experiment: str, run: str, parent: str, grid: Grid, name: str) -> None:
    """Give a trial's run what is known after the evaluation: scores, pictures, its curves and its data."""
    trial, found = grid.trials[name], client.get_run(run)
    # NOTE: a run has one parent; of a trial that two studies have, it is the study that was published last.
    if found.data.tags.get(PARENT) != parent:
        client.set_tag(run, PARENT, parent)
    # NOTE: what the validation patches give is in the curves.
    final = {metric: value for metric, value in grid.scores.get(name, {}).items() if metric not in CURVES}
    _score(client, found, final, trial, runs.model_of(client, experiment, run))
    _log_inputs(client, run, [_input(grid, trial, context) for context in CONTEXTS])
    with runs.storing(client, run, through_temporary=True):
        for place in sorted(grid.pictures.glob("*")):
            if (place / f"{name}.png").exists():
                strip = _strip([place / f"{column}.png" for column in ("noisy", name, "clean")])
                client.log_image(run, strip, f"pictures/test_patch_{place.name}.png")


def _score(
    client: MlflowClient, run: Run, scores: Mapping[str, float], trial: TrialRecord, model: str | None = None
) -> None:
    """Log what a trial reaches, where it is another value than is there; the metric that ranks first."""
    from mlflow.entities import Metric

    have, step = run.data.metrics, trial.epoch or 0
    if model:
        known = {metric.key: metric.value for metric in client.get_logged_model(model).metrics or ()}
        have = dict(have.items() & known.items())
    # NOTE: a later time makes a value that was measured anew the one that is shown.
    now = runs.milliseconds(time.time())
    points = [
        Metric(name, value, now, step, model_id=model) for name, value in scores.items() if have.get(name) != value
    ]
    if points:
        client.log_batch(run.info.run_id, metrics=points)


def _log_inputs(client: MlflowClient, run: str, inputs: Sequence[DatasetInput]) -> None:
    """Say which data a run has used."""
    from mlflow.exceptions import MlflowException

    try:
        client.log_inputs(run, inputs)
    except MlflowException:
        # NOTE: of two that name the same data first at the same time, MLflow refuses one; now it is there.
        client.log_inputs(run, inputs)


def _input(grid: Grid, trial: TrialRecord, context: str) -> DatasetInput:
    """Name the data of one side by what DVC has it under."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    side = CONTEXTS[context]
    digest = origin.dvc_outputs(grid.made_of).get(str(grid.prepared), trial.data_sha256)
    return DatasetInput(
        Dataset(
            name=f"{grid.dataset} {context}",
            digest=digest[:36],
            source_type="dvc",
            source=json.dumps(
                {"path": str(grid.prepared), "md5": digest, "split": side, "store_sha256": trial.data_sha256}
            ),
            profile=json.dumps({"samples": grid.counts.get(side), "noise": runs.noise(trial)}),
        ),
        [InputTag("mlflow.data.context", context)],
    )


def _strip(paths: Sequence[Path]) -> Image.Image:
    """Put pictures of one size side by side."""
    images = [Image.open(path) for path in paths]
    strip = Image.new(images[0].mode, (sum(image.width for image in images), images[0].height))
    for image, left in zip(images, itertools.accumulate((image.width for image in images), initial=0), strict=False):
        strip.paste(image, (left, 0))
    return strip


def _described(grid: Grid, experiment: str, children: Mapping[str, str]) -> str:
    """Say in Markdown which trial is best, and by how much."""
    score = summary.headline(grid.ranking.identity)
    rows = "".join(
        f"| [{cell.best_trial}](#/experiments/{experiment}/runs/{children[cell.best_trial]}{MODE}) | "
        f"{cell.validation.mean:.2f} | {summary.text(score, cell.scores[score])} |\n"
        for cell in grid.ranking.cells
    )
    head = f"| best first | validation | {summary.MEASURES[score]} |\n|---|---|---|\n"
    best = f"Best: **{grid.ranking.champion}**. {grid.ranking.stand_in}".rstrip()
    return tags.cut(f"{best}\n\n{head}{rows}")


def log_model(client: MlflowClient, run: str, folder: Path, trial: TrialRecord, made_of: Mapping[str, bytes]) -> str:
    """Give a trial's run its model, and what says what made it.

    Args:
        client: The connection.
        run: Id of the run.
        folder: The packaged model.
        trial: What is to lie there.
        made_of: See `degrain.registry.origin`.

    Returns:
        The model's address.

    Raises:
        ModelError: Another trial, or other weights, lie there by now.
    """
    with tempfile.TemporaryDirectory(prefix="degrain-") as temporary:
        copy = Path(temporary) / "model"
        shutil.copytree(folder, copy)
        package.require(copy, trial)
        # NOTE: a folder for each content, since MLflow would leave in it what was there and is not any more.
        place = f"model/{files.tree_digest(copy)[:16]}"
        made = Path(temporary) / "origin"
        made.mkdir()
        for name, content in made_of.items():
            (made / name).write_bytes(content)
        with runs.storing(client, run):
            client.log_artifacts(run, str(made), origin.folder(files.contents_digest(made_of)))
            client.log_artifacts(run, str(copy), place)
    return f"{client.get_run(run).info.artifact_uri}/{place}"
