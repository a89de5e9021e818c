"""Stage register: trials and ranking -> MLflow runs, a registered version, the champion's alias."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from degrain import files
from degrain.artifacts.trial import WEIGHTS
from degrain.errors import ModelError
from degrain.evaluation import protocol, ranking, results, scoring
from degrain.inference.denoiser import Denoiser
from degrain.machine import compute, description, variables
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.registry import loading, promotion, publishing, tracking
from degrain.stages import EVALUATED, FIGURES, METRICS, PREPARED, REGISTRATION, REPORT, TRIALS
from degrain.trials import of_study
from degrain.trials.records import read_histories

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    """Publish every trial, then promote the best one if it passes the gate."""
    store = PatchStore.open(PREPARED)
    store.check(params.prepare)
    grid = _grid(params, store)
    name = params.register_.name
    best = grid.trials[grid.ranking["champion"]]
    weights = best["sha256"][WEIGHTS]
    Denoiser.load(TRIALS / best["model"] / best["name"])  # refuses damaged weights before anything is published
    with tracking.connect() as client:
        parent, runs = publishing.publish(client, tracking.experiment(client, name), grid)
        holder = promotion.current(client, name)
        if holder is not None and (reason := loading.loss(client, holder)):
            log.warning("version %s of %s holds the alias and cannot be used: %s", holder.version, name, reason)
            holder = None
        unchanged = holder is not None and holder.tags.get(promotion.WEIGHTS) == weights
        rivals = _rivals(params, grid.ranking)
        if holder is not None and not unchanged:
            rivals.append(_champion(holder, store, params))
        verdicts = promotion.judge(grid.scores[best["name"]], rivals)
        refused = promotion.refusals(verdicts)
        version = holder.version if unchanged and holder else None
        if unchanged and holder:
            # In case a process was killed between moving the alias and recording it.
            promotion.remember(name, str(holder.version), {"trial": best["name"], "trial_key": best["key"]})
        if not refused and not unchanged:
            version = _promote(
                client, name, best, runs[best["name"]], grid, holder, _protocol(best["model"], params, store)
            )
    files.write_json(
        REGISTRATION,
        {
            "model": name,
            "trial": best["name"],
            "trial_key": best["key"],
            "promoted": not refused and not unchanged,
            "champion": not refused or unchanged,
            "version": version,
            "refused": refused,
            "gate": verdicts,
            "experiment": name,
            "parent_run": parent,
            "runs": runs,
            "tracking_uri": variables.tracking_uri(),
        },
    )
    if unchanged:
        log.info("%s already is the champion: version %s of %s", best["name"], version, name)
    elif refused:
        log.warning("%s is not promoted: %s", best["name"], "; ".join(refused))
    else:
        log.info("%s is the champion: version %s of %s", best["name"], version, name)


def _grid(params: Params, store: PatchStore) -> publishing.Grid:
    trials = {trial["name"]: trial for trial in of_study.read(TRIALS, params, store)}
    table, ranked = results.read(EVALUATED, trials, store)
    scores = ranking.summarize(table)
    return publishing.Grid(
        study=params.study.name,
        trials=trials,
        histories=read_histories(TRIALS, trials.values()),
        scores={name: scores[name] for name in trials if name in scores},
        ranking=ranked,
        tags={"degrain.commit": description.git_commit(), "degrain.data_sha256": store.sha256},
        artifacts=tuple(path for path in (Path("params.yaml"), Path("dvc.lock"), METRICS, REPORT) if path.exists()),
        figures=FIGURES,
    )


def _rivals(params: Params, ranked: dict[str, Any]) -> list[promotion.Rival]:
    gain = params.register_.min_gain
    return [
        promotion.Rival("the noisy input", ranked["identity"], gain),
        *(promotion.Rival(f"baseline {name}", scores, gain) for name, scores in ranked["baselines"].items()),
    ]


def _champion(holder: ModelVersion, store: PatchStore, params: Params) -> promotion.Rival:
    """Return the present champion with its scores on the present test data, measured again if that has changed."""
    name = f"the champion, version {holder.version}"
    model = holder.tags.get("degrain.model")
    if model and holder.tags.get("degrain.protocol") == _protocol(model, params, store):
        return promotion.Rival(
            name,
            {m: float(holder.tags[f"degrain.{m}"]) for m in ranking.MEASURES if f"degrain.{m}" in holder.tags},
            0.0,
        )
    with TemporaryDirectory(prefix="degrain-") as temporary:
        folder = loading.download(f"models:/{holder.name}/{holder.version}", Path(temporary))
        denoiser = Denoiser.load(folder, compute.prepare_torch(params.train.device, compute.threads()))
        if (denoiser.channels, denoiser.patch_size) != (store.channels, store.patch_size):
            raise ModelError(
                f"the champion of {holder.name} takes {denoiser.patch_size} pixels and {denoiser.channels} channels, "
                "so it cannot be compared; give this study another register.name"
            )
        method = scoring.model(holder.name, denoiser, params.evaluate.tile, params.evaluate.overlap)
        scores = ranking.summarize(scoring.score(method, store, store.photographs()))[holder.name]
    return promotion.Rival(name, scores, 0.0)


def _protocol(model: str, params: Params, store: PatchStore) -> str:
    device = compute.prepare_torch(params.train.device, compute.threads())
    settings = {"overlap": params.evaluate.overlap}
    return protocol.digest(model, store.sha256, settings, description.kind(device))


def _promote(
    client: MlflowClient,
    name: str,
    best: Mapping[str, Any],
    run_id: str,
    grid: publishing.Grid,
    holder: ModelVersion | None,
    measured_by: str,
) -> str:
    weights = best["sha256"][WEIGHTS]
    version = promotion.version_of(client, name, weights)
    if version is None or loading.loss(client, version):
        source = publishing.log_model(client, run_id, TRIALS / best["model"] / best["name"])
        scores = {f"degrain.{key}": repr(value) for key, value in grid.scores[best["name"]].items()}
        tags = {
            promotion.WEIGHTS: weights,
            "degrain.protocol": measured_by,
            "degrain.model": best["model"],
            publishing.KEY: best["key"],
            "degrain.trial": best["name"],
            **scores,
            **grid.tags,
        }
        version = promotion.register(client, name, source, run_id, tags)
    promotion.promote(
        client,
        name,
        str(version.version),
        {
            "before": holder.version if holder else None,
            "trial": best["name"],
            "trial_key": best["key"],
            "scores": grid.scores[best["name"]],
        },
    )
    return str(version.version)
