"""Registering a study: every trial published, the best one held against the gate, the champion's alias moved."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from degrain import snapshots
from degrain.artifacts.registration import (
    FIRST,
    PROMOTED,
    REFUSED,
    SAME,
    UNOPPOSED,
    Decision,
    Promotion,
    Registration,
    Verdict,
)
from degrain.artifacts.scores import Conditions, Scores
from degrain.artifacts.trial import TrialRecord
from degrain.errors import ForeignVersion, ModelError, RegistryError
from degrain.evaluation import gate, methods, protocol, scoring
from degrain.evaluation.results import Results
from degrain.inference.denoiser import Denoiser
from degrain.machine import compute, variables
from degrain.packaging import package
from degrain.params.results import GateParams
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.registry import loading, promotion, publishing, tags, tracking
from degrain.registry.publishing import Grid

if TYPE_CHECKING:
    import torch
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Champion:
    """The version that holds the champion's alias.

    Attributes:
        version: Of the registry.
        trial: What is recorded of its trial; None where it cannot be used, which is no evidence against anything.
        unusable: Why it cannot.
    """

    version: ModelVersion
    trial: TrialRecord | None
    unusable: str = ""

    @property
    def number(self) -> str:
        """Its number in the registry."""
        return str(self.version.version)

    def has(self, candidate: Candidate) -> bool:
        """Tell whether it is the candidate: whether it can be used, and has the same weights."""
        return self.trial is not None and self.trial.weights_sha256 == candidate.weights


@dataclass(frozen=True)
class Candidate:
    """The best trial of a study, which may become the champion.

    Attributes:
        trial: What is recorded of it.
        folder: It as a package, see `degrain.packaging.package`.
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


def judge(name: str, left: Results, params: GateParams) -> list[Verdict]:
    """Hold a trial against the noisy input and each classical denoiser.

    Args:
        name: Of the trial.
        left: What evaluate left.
        params: By how much it must be better.
    """
    mine = left.table[left.table["method"] == name]
    return gate.judge(mine, gate.rivals(left.table, left.ranking, params), params.min_sources)


def register(grid: Grid, params: Params, store: PatchStore, packaged: Path, left: Results) -> Registration:
    """Publish every trial of a study, then promote the best one if it passes the gate.

    Args:
        grid: What to publish.
        params: The study.
        store: The data that it was measured on.
        packaged: The best one, see `degrain.packaging.package`.
        left: What evaluate left.

    Raises:
        ModelError: The candidate is damaged, or the present champion cannot be compared with it.
        RegistryError: MLflow does not answer or refuses something, or the champion belongs to another version of
            degrain.
        DataError: The promotion record is damaged, or what is published has changed since it was checked.
        OutputError: The promotion record cannot be written.
    """
    name = params.register_.name
    candidate = _candidate(grid, packaged, left.scores)
    promotion.check_journal()
    # NOTE: one process at a time, or each would publish what none of them finds.
    with tracking.alone(variables.home() / "register.lock"), tracking.connect() as client:
        parent, runs = publishing.publish(client, tracking.experiment(client, name), grid)
        holder = _holder(client, name, candidate)
        rivals = gate.rivals(left.table, left.ranking, params.register_.gate)
        if holder and holder.trial and not holder.has(candidate):
            rivals.append(_rival(holder.version, store, params, left.scores.conditions))
        snapshots.require_unchanged(grid.checked)
        mine = left.table[left.table["method"] == candidate.trial.name]
        verdicts = gate.judge(mine, rivals, params.register_.gate.min_sources)
        refused = gate.refusals(verdicts)
        decision, version = _decide(candidate, holder, refused), None
        if decision == SAME and holder:
            version = holder.number
            # In case a process was killed between moving the alias and recording it.
            promotion.remember(name, version, _promotion(candidate, None))
        elif decision != REFUSED:
            version = _promote(client, name, candidate, runs[candidate.trial.name], grid, holder)
    return Registration(
        schema_version=Registration.VERSION,
        model=name,
        trial=candidate.trial.name,
        trial_key=candidate.trial.key,
        weights_sha256=candidate.weights,
        data_sha256=store.sha256,
        table_sha256=grid.ranking.table_sha256,
        decision=decision,
        before=holder.number if holder else None,
        unusable=holder.unusable if holder else "",
        version=version,
        refused=refused,
        gate=verdicts,
        experiment=name,
        parent_run=parent,
        runs=runs,
        tracking_uri=variables.tracking_uri(),
    )


def _decide(candidate: Candidate, holder: Champion | None, refused: list[str]) -> Decision:
    if holder and holder.has(candidate):
        return SAME
    if refused:
        return REFUSED
    if holder is None:
        return FIRST
    return PROMOTED if holder.trial else UNOPPOSED


def _candidate(grid: Grid, folder: Path, measured: Scores) -> Candidate:
    """Return the study's best trial, its package looked at before anything is published."""
    best = grid.trials[grid.ranking.champion]
    package.require(folder, best)
    return Candidate(best, folder, grid.scores[best.name], measured.methods[best.name].protocol)


def _holder(client: MlflowClient, name: str, candidate: Candidate) -> Champion | None:
    """Return the present champion; None where there is none.

    Raises:
        ForeignVersion: It belongs to another version of degrain and has other weights than the candidate.
    """
    version = promotion.current(client, name)
    if version is None:
        return None
    try:
        return Champion(version, loading.proven(client, version))
    except RegistryError as error:
        if isinstance(error, ForeignVersion) and not tags.has_weights(version, candidate.weights):
            raise
        log.warning("the present champion cannot be used, and nothing is compared with it: %s", error)
        return Champion(version, None, str(error))


def _rival(holder: ModelVersion, store: PatchStore, params: Params, conditions: Conditions) -> gate.Rival:
    """Measure the present champion on the same data, by the same code; what its tags say is no evidence."""
    name = f"the champion, version {holder.version}"
    device = compute.prepare_torch(params.train.device, compute.threads())
    if protocol.conditions(device) != conditions:
        log.warning(
            "%s is measured again here, and the candidate was under other conditions: %s", name, conditions.machine
        )
    with TemporaryDirectory(prefix="degrain-") as temporary:
        folder = loading.download(f"models:/{holder.name}/{holder.version}", Path(temporary))
        denoiser = _comparable(folder, holder, store, device)
        method = methods.network(name, denoiser, params.evaluate.tile, params.evaluate.overlap)
        return gate.Rival(name, scoring.score(method, store, store.photographs()), 0.0)


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


def _promotion(candidate: Candidate, holder: Champion | None) -> Promotion:
    return Promotion(
        trial=candidate.trial.name,
        trial_key=candidate.trial.key,
        before=holder.number if holder else None,
        scores=candidate.scores,
        weights_sha256=candidate.weights,
        tracking_uri=variables.lasting_uri(),
    )


def _promote(
    client: MlflowClient, name: str, candidate: Candidate, run: str, grid: Grid, holder: Champion | None
) -> str:
    """Register the candidate's weights, unless they are, and move the alias to them; returns the version."""
    known = promotion.versions_of(client, name, candidate.weights)
    version = next((one for one in known if loading.loss(client, one) is None), None)
    if version is None:
        source = publishing.log_model(client, run, candidate.folder, candidate.trial)
        tagged = tags.written(candidate.trial, candidate.scores, candidate.protocol, candidate.folder) | dict(grid.tags)
        version = promotion.register(client, name, source, run, tagged)
    promotion.promote(client, name, str(version.version), _promotion(candidate, holder))
    return str(version.version)
