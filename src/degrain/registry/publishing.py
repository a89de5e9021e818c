"""Publishing a grid to MLflow: a parent run with one child run per trial, however often it is repeated.

The trial's key is a tag of its run. A run that is there and finished is left alone; one that a killed process left
half-written is removed and written again. So nothing is lost and nothing is doubled.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pandas as pd

from degrain import figures, files
from degrain.artifacts.history import CURVES
from degrain.artifacts.ranking import Ranking
from degrain.artifacts.trial import TRIAL, TrialRecord, TrialSettings
from degrain.errors import OF_THE_MACHINE, OutputError
from degrain.packaging import package
from degrain.registry import origin
from degrain.registry.tags import COMMIT, KEY
from degrain.snapshots import Snapshot
from degrain.trials import origins

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Grid:
    """What is published.

    Attributes:
        study: Its name.
        trials: All of the study, by name.
        histories: For each trial, its history.
        scores: For each trial that is done its means, see `degrain.evaluation.summary`.
        ranking: What evaluate wrote.
        tags: Where all of it comes from, such as the data; the commit is that of each trial.
        artifacts: Files that go to the parent run as they are.
        figures: A folder of pictures that goes there, too.
        made_of: What a registered version carries, see `degrain.registry.origin`.
        checked: What was held against records, and is published after that.
    """

    study: str
    trials: Mapping[str, TrialRecord]
    histories: Mapping[str, pd.DataFrame]
    scores: Mapping[str, dict[str, float]]
    ranking: Ranking
    tags: Mapping[str, str]
    artifacts: tuple[Path, ...]
    figures: Path
    made_of: Mapping[str, bytes]
    checked: tuple[Snapshot, ...] = ()

    @property
    def key(self) -> str:
        """Hash of the trials and of what came out of them."""
        return files.digest([{name: trial.key for name, trial in self.trials.items()}, self.scores])[:20]


def publish(client: MlflowClient, experiment: str, grid: Grid) -> tuple[str, dict[str, str]]:
    """Publish a grid.

    Args:
        client: The connection.
        experiment: Id of the experiment.
        grid: What to publish.

    Returns:
        The parent's run id, and the run id of each trial.
    """
    from mlflow.entities import Metric

    parent, finished = _own_run(client, experiment, grid.key, "")
    if parent is None:
        commit = origins.commits(grid.trials.values())
        tags = {KEY: grid.key, "degrain.study": grid.study, COMMIT: commit, **grid.tags}
        parent = client.create_run(experiment, run_name=grid.study, tags=tags).info.run_id
    children = {name: _publish_trial(client, experiment, grid, name, parent) for name in grid.trials}
    if not finished:
        champion = grid.ranking.champion
        client.set_tag(parent, "degrain.champion", champion)
        # NOTE: with the run's own start as its time, a point that is logged again is the same point.
        start = client.get_run(parent).info.start_time
        points = [Metric(metric, value, start, 0) for metric, value in grid.scores[champion].items()]
        client.log_batch(parent, metrics=points)
    with _storing(client, parent):
        client.log_artifacts(parent, str(grid.figures), "figures")
        for path in grid.artifacts:
            client.log_artifact(parent, str(path))
    if not finished:
        client.set_terminated(parent)
    return parent, children


@contextmanager
def _storing(client: MlflowClient, run: str, through_temporary: bool = False) -> Iterator[None]:
    """Name the artifact store where it is what cannot be written, not the file that is copied into it.

    Args:
        client: Of MLflow.
        run: Whose artifacts are written.
        through_temporary: Whether MLflow writes them to the system's temporary folder first.

    Raises:
        OutputError: It is full, or does not let us.
    """
    try:
        # NOTE: MLflow writes over what is there in place, which a hard-linked copy of the project may share.
        address = urlsplit(client.get_run(run).info.artifact_uri)
        for path in files.tree(Path(unquote(address.path))) if address.scheme == "file" else ():
            files.separate(path)
        yield
    except OSError as error:
        # NOTE: of a copy, the second name is the target. Texts, which MLflow writes to a file first, have none.
        place = error.filename2 or client.get_run(run).info.artifact_uri
        if error.filename2 is None and (error.filename is not None or error.errno not in OF_THE_MACHINE):
            raise
        other = f", or to {tempfile.gettempdir()}" if through_temporary and not error.filename2 else ""
        raise OutputError(f"cannot write to MLflow's artifact store, {place}{other}: {error.strerror}") from error


def _own_run(client: MlflowClient, experiment: str, key: str, parent: str) -> tuple[str | None, bool]:
    """Return the run of a key and whether it is finished."""
    query = f"tags.`{KEY}` = '{key}'" + (f" and tags.mlflow.parentRunId = '{parent}'" if parent else "")
    runs = client.search_runs([experiment], query)
    for run in runs:
        if run.info.status == "FINISHED":
            return run.info.run_id, True
    return (runs[0].info.run_id, False) if runs else (None, False)


def _publish_trial(client: MlflowClient, experiment: str, grid: Grid, name: str, parent: str) -> str:
    from mlflow.entities import Metric, Param

    trial = grid.trials[name]
    found, finished = _own_run(client, experiment, trial.key, parent)
    if found and finished:
        return found
    if found:
        client.delete_run(found)
    tags = {
        KEY: trial.key,
        "mlflow.parentRunId": parent,
        "degrain.study": grid.study,
        "degrain.state": trial.state,
        COMMIT: trial.origin.commit,
        **grid.tags,
    }
    run = client.create_run(experiment, run_name=name, tags=tags).info.run_id
    now = int(time.time() * 1000)
    history = grid.histories[name]
    metrics = [
        Metric(curve, float(row[curve]), now, int(row["epoch"]))
        for row in history.to_dict("records")
        for curve in CURVES
    ]
    # Step 0 comes before the first epoch: scores of the finished model are no part of the curves.
    metrics += [Metric(f"final_{metric}", value, now, 0) for metric, value in grid.scores.get(name, {}).items()]
    params = [Param(key, str(value)) for key, value in _params(trial).items()]
    client.log_batch(run, metrics=metrics, params=params)
    with _storing(client, run, through_temporary=True):
        if len(history):
            drawing = figures.learning_curves({name: history}, {name: trial})
            client.log_text(run, drawing, "figures/learning_curves.svg")
        client.log_dict(run, trial.model_dump(mode="json"), TRIAL)
    client.set_terminated(run, "FINISHED")
    return str(run)


def _params(trial: TrialRecord) -> dict[str, Any]:
    """What a trial was, as opposed to how it went; settings of a section have its name before theirs."""
    described = trial.model_dump(mode="json", include={*TrialSettings.model_fields, "parameters"})
    flat = described.pop("training") | trial.place.model_dump()
    for name, value in described.items():
        flat |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    flat |= {f"versions.{library}": version for library, version in trial.versions.items()}
    return {name: value for name, value in flat.items() if value is not None}


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
        made = Path(temporary) / origin.FOLDER
        made.mkdir()
        for name, content in made_of.items():
            (made / name).write_bytes(content)
        with _storing(client, run):
            client.log_artifacts(run, str(made), origin.FOLDER)
            client.log_artifacts(run, str(copy), "model")
    return f"{client.get_run(run).info.artifact_uri}/model"
