"""Registering a study: every trial published, the best one held against the gate, the champion's alias moved."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from degrain.artifacts.registration import Promotion, Registration
from degrain.artifacts.scores import Conditions, Scores
from degrain.artifacts.trial import TrialRecord
from degrain.errors import ForeignVersion, ModelError
from degrain.evaluation import methods, protocol, scoring, summary
from degrain.inference.denoiser import Denoiser
from degrain.machine import compute, variables
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.registry import loading, promotion, publishing, tracking
from degrain.registry.publishing import Grid

if TYPE_CHECKING:
    import torch
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """The best trial of a study, which may become the champion.

    Attributes:
        trial: What is recorded of it.
        folder: With its weights.
        scores: On the held-out data.
        protocol: Digest of how these were measured.
    """

    trial: TrialRecord
    folder: Path
    scores: dict[str, float]
    protocol: str

    @property
    def weights(self) -> str:
        """SHA-256 of its weights."""
        return str(self.trial.weights_sha256)


def register(grid: Grid, params: Params, store: PatchStore, trials: Path, measured: Scores) -> Registration:
    """Publish every trial of a study, then promote the best one if it passes the gate.

    Args:
        grid: What to publish.
        params: The study.
        store: The data that it was measured on.
        trials: Folder of its trials.
        measured: What is recorded of the scores.

    Raises:
        ModelError: The candidate is damaged, or the present champion cannot be compared with it.
        RegistryError: MLflow does not answer or refuses something, or the champion belongs to another version of
            degrain.
        DataError: The promotion record is damaged, or what is published has changed since it was checked.
        OutputError: The promotion record cannot be written.
    """
    name = params.register_.name
    candidate = _candidate(grid, trials, measured)
    promotion.check_journal()
    # NOTE: one process at a time, or each would publish what none of them finds.
    with tracking.alone(variables.home() / "register.lock"), tracking.connect() as client:
        parent, runs = publishing.publish(client, tracking.experiment(client, name), grid)
        holder = _holder(client, name, candidate)
        unchanged = holder is not None and holder.tags.get(promotion.WEIGHTS) == candidate.weights
        rivals = _rivals(params, grid)
        if holder is not None and not unchanged:
            rivals.append(_champion(holder, store, params, measured.conditions))
        grid.require_unchanged()
        verdicts = promotion.judge(candidate.scores, rivals)
        refused = promotion.refusals(verdicts)
        version = str(holder.version) if unchanged and holder else None
        if version:
            # In case a process was killed between moving the alias and recording it.
            promotion.remember(name, version, _promotion(candidate, None))
        elif not refused:
            version = _promote(client, name, candidate, runs[candidate.trial.name], grid, holder)
    return Registration(
        schema_version=Registration.VERSION,
        model=name,
        trial=candidate.trial.name,
        trial_key=candidate.trial.key,
        weights_sha256=candidate.weights,
        data_sha256=store.sha256,
        table_sha256=grid.ranking.table_sha256,
        promoted=not refused and not unchanged,
        champion=not refused or unchanged,
        version=version,
        refused=refused,
        gate=verdicts,
        experiment=name,
        parent_run=parent,
        runs=runs,
        tracking_uri=variables.tracking_uri(),
    )


def _candidate(grid: Grid, trials: Path, measured: Scores) -> Candidate:
    """Return the study's best trial, its weights looked at before anything is published."""
    best = grid.trials[grid.ranking.champion]
    if Denoiser.load(best.folder(trials)).trial != best:
        raise ModelError(f"{best.folder(trials)} has changed while it was used; run: dvc repro register")
    return Candidate(best, best.folder(trials), grid.scores[best.name], measured.methods[best.name].protocol)


def _holder(client: MlflowClient, name: str, candidate: Candidate) -> ModelVersion | None:
    """Return the present champion; None where there is none that can be used.

    Raises:
        ForeignVersion: It belongs to another version of degrain and has other weights than the candidate.
    """
    holder = promotion.current(client, name)
    if holder is None or (error := loading.loss(client, holder)) is None:
        return holder
    if isinstance(error, ForeignVersion) and holder.tags.get(promotion.WEIGHTS) != candidate.weights:
        raise error
    log.warning("the present champion cannot be used: %s", error)
    return None


def _rivals(params: Params, grid: Grid) -> list[promotion.Rival]:
    gain = params.register_.min_gain
    return [
        promotion.Rival("the noisy input", grid.ranking.identity, gain),
        *(promotion.Rival(f"baseline {name}", of.scores, gain) for name, of in grid.ranking.baselines.items()),
    ]


def _champion(holder: ModelVersion, store: PatchStore, params: Params, conditions: Conditions) -> promotion.Rival:
    """Return the present champion with its scores on the present test data.

    They are those of its registration, if they were measured in the same way and under the same conditions as the
    candidate's, and measured again otherwise.
    """
    name = f"the champion, version {holder.version}"
    model = holder.tags.get("degrain.model")
    if model and holder.tags.get("degrain.protocol") == protocol.digest(
        model, store.sha256, params.evaluate, conditions
    ):
        return promotion.Rival(
            name,
            {m: float(holder.tags[f"degrain.{m}"]) for m in summary.MEASURES if f"degrain.{m}" in holder.tags},
            0.0,
        )
    device = compute.prepare_torch(params.train.device, compute.threads())
    if protocol.conditions(device) != conditions:
        log.warning(
            "%s is measured again here, and the candidate was under other conditions: %s", name, conditions.machine
        )
    with TemporaryDirectory(prefix="degrain-") as temporary:
        folder = loading.download(f"models:/{holder.name}/{holder.version}", Path(temporary))
        denoiser = _comparable(folder, holder, store, device)
        method = methods.network(holder.name, denoiser, params.evaluate.tile, params.evaluate.overlap)
        scores = summary.summarize(scoring.score(method, store, store.photographs()))[holder.name]
    return promotion.Rival(name, scores, 0.0)


def _comparable(folder: Path, holder: ModelVersion, store: PatchStore, device: torch.device) -> Denoiser:
    """Load the present champion, to be measured on the present data.

    Raises:
        ModelError: Another version of degrain has made it, or it takes other images.
    """
    way_out = "so it cannot be compared; give this study another register.name"
    try:
        denoiser = Denoiser.load(folder, device)
    except ModelError as error:
        raise ModelError(f"the champion of {holder.name}, version {holder.version}: {error}, {way_out}") from error
    if (denoiser.channels, denoiser.patch_size) != (store.channels, store.patch_size):
        raise ModelError(
            f"the champion of {holder.name} takes {denoiser.patch_size} pixels and {denoiser.channels} channels, "
            f"{way_out}"
        )
    return denoiser


def _promotion(candidate: Candidate, holder: ModelVersion | None) -> Promotion:
    return Promotion(
        trial=candidate.trial.name,
        trial_key=candidate.trial.key,
        before=str(holder.version) if holder else None,
        scores=candidate.scores,
    )


def _promote(
    client: MlflowClient, name: str, candidate: Candidate, run: str, grid: Grid, holder: ModelVersion | None
) -> str:
    """Register the candidate's weights, unless they are, and move the alias to them; returns the version."""
    known = promotion.versions_of(client, name, candidate.weights)
    version = next((one for one in known if loading.loss(client, one) is None), None)
    if version is None:
        source = publishing.log_model(client, run, candidate.folder, candidate.trial)
        tags = {
            promotion.WEIGHTS: candidate.weights,
            "degrain.protocol": candidate.protocol,
            "degrain.model": candidate.trial.model,
            promotion.KEY: candidate.trial.key,
            "degrain.trial": candidate.trial.name,
            **{f"degrain.{key}": repr(value) for key, value in candidate.scores.items()},
            **grid.tags,
        }
        version = promotion.register(client, name, source, run, tags)
    promotion.promote(client, name, str(version.version), _promotion(candidate, holder))
    return str(version.version)
