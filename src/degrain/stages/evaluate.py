"""Stage evaluate: trials, test patches and whole photographs -> scores, ranking, metrics, plots and examples."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from degrain import console, files
from degrain.artifacts import ranking as ranking_of
from degrain.artifacts import scores as scores_of
from degrain.artifacts.ranking import Ranking
from degrain.artifacts.scores import Measured
from degrain.artifacts.trial import TrialRecord
from degrain.evaluation import examples, protocol, ranking, scoring
from degrain.inference.denoiser import Denoiser
from degrain.ingest.datasets import manifest
from degrain.machine import compute, description
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.stages import EVALUATED, METRICS, PLOTS, PREPARED, TRIALS, VALIDATED
from degrain.trials import of_study

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


def run(params: Params) -> None:
    """Measure everything on the same data and rank the grid."""
    store = PatchStore.open(PREPARED)
    store.check(params.prepare)
    known, validation = manifest.read(VALIDATED)
    store.check_manifest(validation.manifest_sha256)
    device = compute.prepare_torch(params.train.device, compute.threads())
    trials = of_study.read(TRIALS, params, store)
    done = [trial for trial in trials if trial.is_done]
    photographs = store.photographs()
    sigma = scoring.noise_level(store.split("val"))

    makers: list[Callable[[], scoring.Method]] = [
        scoring.identity,
        *(partial(scoring.baseline, name, store.split("val"), sigma) for name in params.evaluate.baselines),
        *(partial(_loaded, trial, params, device) for trial in done),
    ]
    settings, scores = {}, []
    with console.progress("evaluate", len(makers)) as advance:
        for make in makers:
            method = make()
            settings[method.name] = method.settings
            scores.append(scoring.score(method, store, photographs))
            advance()
    ranked = ranking.rank(
        done, pd.concat(scores, ignore_index=True), params.evaluate.bootstrap, params.evaluate.confidence
    )
    champion = ranked[0]["best_trial"]
    best_trials = [cell["best_trial"] for cell in ranking.best_of_models(ranked)]
    denoisers = {trial.name: _denoiser(trial, device) for trial in done if trial.name in best_trials}
    shown = {name: _method(name, denoisers[name], params) for name in best_trials}
    sharp = {name: scoring.sharpened(method) for name, method in shown.items()} if params.evaluate.sharpen else {}
    scores += [scoring.score(method, store, photographs) for method in sharp.values()]
    table = pd.concat(scores, ignore_index=True)
    summary = ranking.summarize(table)
    cameras = ranking.by_camera(table, known)

    with files.new_folder(EVALUATED) as folder:
        scored = scores_of.write(folder, table, _whose(trials, sharp, params, store, device), store.sha256)
        Ranking.model_validate(
            {
                "schema_version": Ranking.VERSION,
                "champion": champion,
                "cells": ranked,
                "identity": summary["identity"],
                "baselines": {
                    name: {"settings": settings[name], **summary[name]} for name in params.evaluate.baselines
                },
                "sharpened": {name: summary[method.name] for name, method in sharp.items()},
                "cameras": cameras,
                "unranked": [t.model_dump(include={"name", "state", "reason"}) for t in trials if not t.is_done],
                "data_sha256": store.sha256,
                "table_sha256": scored.table_sha256,
            }
        ).write(folder / ranking_of.FILE)
        pictured = shown | {method.name: method for method in sharp.values()}
        examples.write(folder / "examples", store, pictured, shown[champion], params.report.strips)
        examples.write_animations(folder / "examples" / "animations", store, denoisers, params.report.frames)
    files.write_json(METRICS, _metrics(ranked, summary, params.evaluate.baselines, sharp, cameras))
    _write_plots(trials, ranked, summary, params)
    score = ranking.headline(summary[champion])
    best = ranking.best_baseline({name: summary[name] for name in params.evaluate.baselines}) or "identity"
    log.info(
        "best: %s, %.2f dB on the %s; best classical: %s, %.2f dB; noisy: %.2f dB",
        champion,
        summary[champion][score],
        ranking.MEASURES[score],
        best,
        summary[best][score],
        summary["identity"][score],
    )


def _whose(
    trials: list[TrialRecord],
    sharp: dict[str, scoring.Method],
    params: Params,
    store: PatchStore,
    device: torch.device,
) -> dict[str, Measured]:
    """Say of each method in the table what it was."""
    tiling = {"overlap": params.evaluate.overlap}

    def protocol_of(model: str | None) -> str:
        return protocol.digest(model, store.sha256, tiling, description.kind(device))

    classical = Measured(protocol=protocol_of(None))
    whose = dict.fromkeys(["identity", *params.evaluate.baselines], classical)
    for trial in trials:
        if trial.is_done:
            name, measured_by = trial.name, protocol_of(trial.model)
            whose[name] = Measured(trial_key=trial.key, weights_sha256=trial.weights_sha256, protocol=measured_by)
            if name in sharp:
                whose[sharp[name].name] = Measured(protocol=measured_by)
    return whose


def _loaded(trial: TrialRecord, params: Params, device: torch.device) -> scoring.Method:
    return _method(trial.name, _denoiser(trial, device), params)


def _method(name: str, denoiser: Denoiser, params: Params) -> scoring.Method:
    return scoring.model(name, denoiser, params.evaluate.tile, params.evaluate.overlap)


def _denoiser(trial: TrialRecord, device: torch.device) -> Denoiser:
    return Denoiser.load(trial.folder(TRIALS), device)


def _metrics(
    ranked: list[dict[str, Any]],
    summary: dict[str, dict[str, float]],
    names: list[str],
    sharp: dict[str, scoring.Method],
    cameras: dict[str, dict[str, float]],
) -> dict[str, Any]:
    """What `dvc metrics show` shows, rounded to what the measurement is worth."""

    def rounded(values: dict[str, float]) -> dict[str, float]:
        return {key: round(value, 4) for key, value in values.items()}

    champion = ranked[0]["best_trial"]
    return {
        "champion": {"trial": champion, **rounded(summary[champion])},
        "identity": rounded(summary["identity"]),
        "baselines": {name: rounded(summary[name]) for name in names},
        "trials": {name: rounded(summary[name]) for cell in ranked for name in cell["trials"]},
        **({"sharpened": {name: rounded(summary[method.name]) for name, method in sharp.items()}} if sharp else {}),
        **({"cameras": {camera: rounded(scores) for camera, scores in cameras.items()}} if cameras else {}),
    }


def _write_plots(
    trials: list[TrialRecord],
    ranked: list[dict[str, Any]],
    summary: dict[str, dict[str, float]],
    params: Params,
) -> None:
    """Write the tables behind `dvc plots show`."""
    with files.new_folder(PLOTS) as folder:
        histories = of_study.histories(TRIALS, trials)
        curves = pd.concat([history.assign(trial=name) for name, history in histories.items()])
        columns = ["trial", "epoch", "train_loss", "val_loss", "val_psnr"]
        curves[columns].to_csv(folder / "learning_curves.csv", index=False)
        methods = [
            "identity",
            *params.evaluate.baselines,
            *(name for cell in ranked for name in cell["trials"]),
        ]
        rows = [{"method": name, **summary[name]} for name in methods]
        pd.DataFrame(rows).round(4).to_csv(folder / "ranking.csv", index=False)
