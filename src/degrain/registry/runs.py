"""A trial as a run of MLflow: made when it has begun, added to while it trains, closed when it has ended.

The ledger is the truth, and MLflow mirrors it. A run is found again by its trial's key and a point by its epoch, so
that what is sent twice is there once. Every point has the time at which its epoch ended, not that at which it was sent;
that of an epoch that was trained again after a kill is the first one.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from degrain import files
from degrain.artifacts.history import CURVES, PACE, Epoch
from degrain.artifacts.trial import DONE, TRIAL, BegunTrial, TrialRecord
from degrain.errors import OF_THE_MACHINE, OutputError
from degrain.machine import variables
from degrain.registry import tags, tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

# How MLflow calls the end of a trial.
STATUS: Mapping[str, str] = {DONE: "FINISHED"}
# MLflow takes so many points at once.
MOST_POINTS = 1000
# Of the curves, what is always a number: it tells which epochs a run has.
MARK = "images_per_second"
# What is shown under a run's name, and which curves have a gap.
DESCRIPTION, LEFT_OUT = "mlflow.note.content", "degrain.left_out"


@dataclass(frozen=True)
class Seen:
    """What is known of a trial.

    Attributes:
        trial: What it is, or, when it has ended, how it went.
        epochs: What each of its epochs so far left.
    """

    trial: BegunTrial | TrialRecord
    epochs: Sequence[Epoch]

    @property
    def has_ended(self) -> bool:
        """Whether nothing will come any more."""
        return isinstance(self.trial, TrialRecord)


@dataclass
class Mirror:
    """The runs of one experiment.

    Attributes:
        client: The connection.
        experiment: Its id.
        study: Name of the study, for people.
    """

    client: MlflowClient
    experiment: str
    study: str
    _runs: dict[str, str] = field(default_factory=dict)
    _points: dict[str, dict[int, int]] = field(default_factory=dict)
    _closed: set[str] = field(default_factory=set)

    def send(self, seen: Seen) -> str:
        """Bring the run of a trial up to date.

        Returns:
            The run's id.

        Raises:
            MlflowException: MLflow does not answer, or refuses something; the next call goes on from there.
        """
        key = seen.trial.key
        run = self._runs.get(key) or self._opened(seen)
        if key in self._closed:
            return run
        points = self._points[key]
        new = [epoch for epoch in seen.epochs if epoch.epoch not in points]
        for some in _parts(new):
            self.client.log_batch(run, metrics=[point for epoch in some for point in _curves(epoch)])
            points |= {epoch.epoch: milliseconds(epoch.ended) for epoch in some}
        if isinstance(seen.trial, TrialRecord):
            self._close(run, seen.trial, seen.epochs)
        return run

    def _opened(self, seen: Seen) -> str:
        """Find the run of a trial, or make it."""
        trial = seen.trial
        with self._alone():
            found = self._found(trial.key)
            run = found or self._made(seen)
        if self.study not in (known := run.data.tags.get(tags.STUDY, "").split(", ")):
            self.client.set_tag(run.info.run_id, tags.STUDY, ", ".join([*filter(None, known), self.study]))
        history = self.client.get_metric_history(run.info.run_id, MARK) if found else []
        self._points[trial.key] = {point.step: point.timestamp for point in history}
        if run.info.status != "RUNNING":
            if isinstance(trial, TrialRecord) and run.data.tags.get(tags.STATE) == trial.state:
                self._closed.add(trial.key)
            else:  # it failed, and is tried again
                self.client.update_run(run.info.run_id, "RUNNING")
        self._runs[trial.key] = run.info.run_id
        return str(run.info.run_id)

    def _found(self, key: str) -> Run | None:
        """Return the run of a trial, or None; of several that were begun, since an answer was lost, one is kept."""
        found = of_key(self.client, self.experiment, key)
        closed = [run for run in found if run.info.status != "RUNNING"]
        kept = next(iter(closed or found), None)
        for run in found:
            if run.info.status == "RUNNING" and run is not kept:
                self.client.delete_run(run.info.run_id)
        return kept

    def _made(self, seen: Seen) -> Run:
        trial = seen.trial
        return self.client.create_run(
            self.experiment,
            start_time=milliseconds(trial.began),
            run_name=trial.name,
            tags={
                tags.KEY: trial.key,
                tags.STUDY: self.study,
                tags.DATA: trial.data_sha256,
                DESCRIPTION: described(trial),
            },
        )

    def _close(self, run: str, trial: TrialRecord, epochs: Sequence[Epoch]) -> None:
        """Close a run, unless another process of this machine has done it meanwhile."""
        with self._alone():
            found = self.client.get_run(run)
            if found.info.status == "RUNNING" or found.data.tags.get(tags.STATE) != trial.state:
                self._close_alone(run, trial, epochs)
        self._closed.add(trial.key)

    def _alone(self) -> AbstractContextManager[None]:
        """One process of this machine at a time, or each would make what none of them finds."""
        return tracking.alone(variables.home() / "publish.lock")

    def _close_alone(self, run: str, trial: TrialRecord, epochs: Sequence[Epoch]) -> None:
        from mlflow.entities import Param, RunTag

        told = {
            tags.STATE: trial.state,
            tags.COMMIT: trial.origin.commit,
            DESCRIPTION: described(trial),
            LEFT_OUT: _left_out(epochs),
        }
        self.client.log_batch(
            run,
            params=[Param(name, value) for name, value in params(trial).items()],
            tags=[RunTag(name, value) for name, value in told.items() if value],
        )
        with storing(self.client, run, through_temporary=True):
            self.client.log_dict(run, trial.model_dump(mode="json"), TRIAL)
        if trial.is_done:
            self._model(run, trial, epochs)
        self.client.set_terminated(run, STATUS.get(trial.state, "FAILED"), milliseconds(trial.ended))

    def _model(self, run: str, trial: TrialRecord, epochs: Sequence[Epoch]) -> None:
        """Give a run what MLflow calls its model: the weights that were kept, with the points of their epoch."""
        model = model_of(self.client, self.experiment, run)
        if model is None:
            made = self.client.create_logged_model(
                self.experiment,
                name=trial.name,
                source_run_id=run,
                tags={tags.KEY: trial.key, tags.WEIGHTS: str(trial.weights_sha256)},
                params=params(trial),
                model_type=trial.model,
            )
            model = str(made.model_id)
        for kept in (epoch for epoch in epochs if epoch.epoch == trial.epoch):
            # NOTE: with values and time as before, so that the run has them once, also if it was trained again.
            same = replace(kept, ended=self._points[trial.key][kept.epoch] / 1000)
            points = [point for point in _curves(same, model) if point.key not in PACE]
            self.client.log_batch(run, metrics=points)
        self.client.finalize_logged_model(model, "READY")


@contextmanager
def storing(client: MlflowClient, run: str, through_temporary: bool = False) -> Iterator[None]:
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


def of_key(client: MlflowClient, experiment: str, key: str) -> list[Run]:
    """Return the active runs of a key, that which is gone on with first: see `in_order`."""
    return in_order(client, experiment, client.search_runs([experiment], f"tags.`{tags.KEY}` = '{key}'"))


def in_order(client: MlflowClient, experiment: str, found: Sequence[Run]) -> list[Run]:
    """Sort runs of one key: those that registered versions refer to first, then the oldest.

    There are several where a run was deleted in MLflow, published again and restored. They began when the trial did, so
    that the age of one is that of what MLflow calls its model.
    """
    if len(found) < 2:
        return list(found)

    def order(run: Run) -> tuple[bool, int, float, str]:
        name = str(run.info.run_id)
        models = client.search_logged_models([experiment], f"source_run_id = '{name}'")
        made = min((float(model.creation_timestamp) for model in models), default=math.inf)
        return not is_registered(client, name), run.info.start_time, made, name

    return sorted(found, key=order)


def is_registered(client: MlflowClient, run: str) -> bool:
    """Tell whether a registered version refers to a run."""
    return bool(client.search_model_versions(f"run_id = '{run}'", max_results=1))


def model_of(client: MlflowClient, experiment: str, run: str) -> str | None:
    """Return the id of what MLflow calls the model of a run, or None."""
    found = client.search_logged_models([experiment], f"source_run_id = '{run}'", max_results=1)
    return str(found[0].model_id) if found else None


def milliseconds(seconds: float) -> int:
    """Return a time as MLflow has it."""
    return round(seconds * 1000)


def params(trial: TrialRecord) -> dict[str, str]:
    """Return what a reader asks of a trial first; trial.json has the rest."""
    training = trial.training
    told: dict[str, object] = {
        "model": trial.model,
        **_options("optimizer", trial.optimizer_settings),
        **_options("loss", trial.loss_settings),
        "seed": trial.seed,
        "epochs": training.get("epochs"),
        "batch_size": training.get("batch_size"),
        "schedule": training.get("schedule"),
        "start": training.get("start"),
        "exposure": training.get("exposure"),
        "noise": noise(trial),
        "patch_size": trial.patch_size,
        "channels": trial.channels,
        "device": trial.place.device,
        "precision": trial.place.precision,
        "parameters": trial.parameters,
    }
    return {name: str(value) for name, value in told.items() if value is not None}


def noise(trial: BegunTrial | TrialRecord) -> str:
    """Return a trial's noise in a line, such as "gaussian, sigma 25.0, clip True"."""
    kind, *rest = trial.noise.model_dump(mode="json").items()
    return ", ".join([str(kind[1]), *(f"{name} {value}" for name, value in rest if value is not None)])


def described(trial: BegunTrial | TrialRecord) -> str:
    """Say in Markdown what a trial is and how it ended."""
    text = (
        f"**{trial.model}** with {trial.optimizer} and {trial.loss}, seed {trial.seed}, on patches of "
        f"{trial.patch_size} pixels with {noise(trial)}."
    )
    if not isinstance(trial, TrialRecord):
        return f"{text} It is being trained."
    if not trial.is_done:
        return f"{text}\n\nIt {trial.state} after {trial.epochs_done} epochs: {tags.cut(trial.reason, 1000)}"
    return (
        f"{text}\n\nThe weights are those of epoch {trial.epoch} of {trial.epochs_done}, with {trial.val_psnr:.2f} dB "
        f"on the validation patches. {trial.noise.stand_in}".rstrip()
    )


def _options(section: str, settings: Mapping[str, object]) -> dict[str, object]:
    """The name of an optimizer or a loss, and its options that are numbers or words.

    Its label may be another tomorrow, and MLflow takes no other value then.
    """
    shown = {name: value for name, value in settings.items() if isinstance(value, int | float | str)}
    return {section: settings.get("name")} | {
        f"{section}.{name}": value for name, value in shown.items() if name not in ("name", "label", "preset")
    }


def _curves(epoch: Epoch, model: str | None = None) -> Iterator[Metric]:
    """The points of an epoch, the metric that ranks first; MLflow stores infinity as a number, and NaN as zero."""
    from mlflow.entities import Metric

    for curve in sorted(CURVES, key=lambda name: name != "val_psnr"):
        if math.isfinite(value := getattr(epoch, curve)):
            yield Metric(curve, value, milliseconds(epoch.ended), epoch.epoch, model_id=model)


def _left_out(epochs: Sequence[Epoch]) -> str:
    """Say which points are not there since they are no numbers."""
    missing: dict[str, list[str]] = {}
    for epoch in epochs:
        for curve in CURVES:
            if not math.isfinite(value := getattr(epoch, curve)):
                missing.setdefault(curve, []).append(f"{epoch.epoch} ({value})")
    return (
        tags.cut("; ".join(f"{curve} of epoch {', '.join(which)}" for curve, which in missing.items()))
        if missing
        else ""
    )


def _parts(epochs: Sequence[Epoch]) -> Iterator[Sequence[Epoch]]:
    size = MOST_POINTS // len(CURVES)
    for start in range(0, len(epochs), size):
        yield epochs[start : start + size]
