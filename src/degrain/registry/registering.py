"""Registering a study: every trial published, the best one held against the gate, the champion's alias moved."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from degrain import files, snapshots
from degrain.artifacts.registration import (
    FIRST,
    PROMOTED,
    REFUSED,
    SAME,
    UNOPPOSED,
    Decision,
    Registration,
    Verdict,
)
from degrain.artifacts.scores import Conditions, Scores
from degrain.artifacts.trial import TrialRecord
from degrain.errors import ForeignVersion, ModelError, RegistryError, Unseen
from degrain.evaluation import gate, methods, protocol, scoring, summary
from degrain.evaluation.results import Results
from degrain.inference.denoiser import Denoiser
from degrain.machine import compute, variables
from degrain.packaging import card, package
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.registry import aliases, journal, loading, promotion, publishing, tags, tracking
from degrain.registry.publishing import Grid
from degrain.registry.runs import described
from degrain.registry.turns import turn

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


def register(
    grid: Grid, params: Params, store: PatchStore, packaged: Path, left: Results, promotions: Path
) -> Registration:
    """Publish every trial of a study, then promote the best one if it passes the gate.

    Args:
        grid: What to publish.
        params: The study.
        store: The data that it was measured on.
        packaged: The best one, see `degrain.packaging.package`.
        left: What evaluate left.
        promotions: Where a copy of the journal goes.

    Raises:
        ModelError: The candidate is damaged, or the present champion cannot be compared with it.
        RegistryError: MLflow does not answer or refuses something, or the champion belongs to another version of
            degrain.
        DataError: What is published has changed since it was checked.
        OutputError: The copy of the journal cannot be written.
    """
    name = params.register_.name
    candidate = _candidate(grid, packaged, left.scores)
    # NOTE: one process of this machine at a time, or each would publish what none of them finds.
    with tracking.alone(variables.home() / "register.lock"), tracking.connect() as client:
        parent, runs = publishing.publish(client, tracking.experiment(client, name), grid)
        settled = None
        while settled is None:
            compared = _compare(client, candidate, params, store, left)
            settled = _settle(client, name, candidate, compared, runs, grid)
        version, decision, refused = settled
        holder = compared.holder
        journal.copy(journal.read(client, name), promotions)
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
        version=str(version.version),
        refused=refused,
        gate=compared.verdicts,
        experiment=name,
        parent_run=parent,
        runs=runs,
        tracking_uri=variables.tracking_uri(),
    )


@dataclass(frozen=True)
class Compared:
    """How a candidate stands.

    Attributes:
        holder: The champion when it was compared; None where there was none.
        verdicts: Of the gate.
    """

    holder: Champion | None
    verdicts: list[Verdict]


def _compare(client: MlflowClient, candidate: Candidate, params: Params, store: PatchStore, left: Results) -> Compared:
    """Hold a candidate against every rival, the present champion among them; others may promote meanwhile."""
    holder = _holder(client, params.register_.name, candidate)
    rivals = gate.rivals(left.table, left.ranking, params.register_.gate)
    if holder and holder.trial and not holder.has(candidate):
        rivals.append(_rival(holder.version, store, params, left.scores.conditions))
    mine = left.table[left.table["method"] == candidate.trial.name]
    return Compared(holder, gate.judge(mine, rivals, params.register_.gate.min_sources))


def _settle(
    client: MlflowClient, name: str, candidate: Candidate, compared: Compared, runs: Mapping[str, str], grid: Grid
) -> tuple[ModelVersion, Decision, list[str]] | None:
    """Register a candidate and move the aliases, unless another version has become the champion since the comparison.

    Returns:
        Its version, what was decided, and which rivals it does not beat; None if it must be compared again.
    """
    holder = compared.holder
    with turn(client, name) as require:
        if aliases.number(aliases.current(client, name)) != (holder.number if holder else None):
            log.warning("another version of %s has become the champion meanwhile; it is compared, too", name)
            return None
        snapshots.require_unchanged(grid.checked)
        refused = [*gate.refusals(compared.verdicts), *_withdrawn(client, name, candidate)]
        decision = _decide(candidate, holder, refused)
        version = (
            holder.version
            if decision == SAME and holder
            else _version(client, name, candidate, runs, grid, compared.verdicts)
        )
        if decision == REFUSED:
            promotion.challenge(client, version, refused, require)
        else:
            promotion.promote(client, version, _reason(decision, compared.verdicts), require)
        return version, decision, refused


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
        Unseen: It cannot be looked at now, so that nothing can be promoted over it.
    """
    version = aliases.current(client, name)
    if version is None:
        return None
    try:
        return Champion(version, loading.proven(client, version))
    except Unseen:
        raise
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
    if denoiser.light != store.record.light:
        raise ModelError(f"the champion of {holder.name} takes images in {denoiser.light} light, {way_out}")
    return denoiser


def _version(
    client: MlflowClient,
    name: str,
    candidate: Candidate,
    runs: Mapping[str, str],
    grid: Grid,
    verdicts: Sequence[Verdict],
) -> ModelVersion:
    """Return the version that is the candidate, registered now unless it is there and can be used.

    The same weights, measured or packed otherwise, are another version: card and tags of one never change. What the
    gate says of it may, and is in the description alone.
    """
    tagged = tags.written(candidate.trial, candidate.scores, candidate.protocol, candidate.folder)
    said = _described(candidate, verdicts)
    for version in aliases.versions_of(client, name, candidate.weights):
        if tagged.items() <= version.tags.items() and loading.loss(client, version) is None:
            client.update_model_version(name, str(version.version), said)
            return version
    run = runs[candidate.trial.name]
    source = publishing.log_model(client, run, candidate.folder, candidate.trial, grid.made_of)
    tagged |= {tags.ORIGIN: files.contents_digest(grid.made_of), **grid.tags}
    about = f'The best trials of the study "{card.escaped(grid.title)}".'
    return aliases.register(client, name, source, run, tagged, said, about)


def _described(candidate: Candidate, verdicts: Sequence[Verdict]) -> str:
    """Say in Markdown what a version is, and how it stands against each rival."""
    rows = "".join(
        f"| {verdict.rival} | {gate.comparison(verdict)} | {'beaten' if verdict.passed else 'not beaten'} |\n"
        for verdict in verdicts
    )
    means = ", ".join(
        f"{summary.text(measure, candidate.scores[measure])} on {name}"
        for measure, name in summary.MEASURES.items()
        if measure in candidate.scores
    )
    return tags.cut(
        f"{described(candidate.trial)}\n\nMean over patches or whole photographs, as in metrics, tags and lineage: "
        f"{means}. The gate compares another one, the mean over sources (photographs or scenes):\n\n"
        f"| rival | this version to the rival, mean over sources | |\n|---|---|---|\n{rows}"
    )


def _withdrawn(client: MlflowClient, name: str, candidate: Candidate) -> list[str]:
    """Say why a person has taken the alias from these weights, if one has."""
    return [
        f"version {version.version} has the same weights and was rolled back ({reason}); degrain promote "
        f"{version.version} promotes it"
        for version in aliases.versions_of(client, name, candidate.weights)
        if (reason := version.tags.get(tags.WITHDRAWN))
    ]


def _reason(decision: Decision, verdicts: Sequence[Verdict]) -> str:
    """Say why the alias moves."""
    beaten = f"beats {', '.join(dict.fromkeys(verdict.rival for verdict in verdicts))}"
    return f"{beaten}; the champion before cannot be used" if decision == UNOPPOSED else beaten
