"""Measure a whole study: the noisy input, the classical denoisers, every trial and sharpened outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from degrain.artifacts.ranking import Cell
from degrain.artifacts.scores import Conditions, Measured
from degrain.artifacts.trial import TrialRecord
from degrain.baselines.catalog import BASELINES
from degrain.errors import ModelError
from degrain.evaluation import methods, protocol, ranking, scoring, summary
from degrain.evaluation.methods import Method
from degrain.inference.denoiser import Denoiser
from degrain.params.results import EvaluateParams
from degrain.patches.store import PatchStore

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Measurement:
    """What was measured of a study.

    Attributes:
        table: The scores, see `degrain.evaluation.scoring`.
        cells: The grid, best first.
        whose: What each method in the table was.
        params: How it was measured.
        conditions: Where.
        settings: What was chosen for each method.
        shown: The best trial of each network as a method, by the trial's name, best network first.
        sharpened: The same with sharpened outputs, by the trial's name; empty if that was not asked for.
        denoisers: The networks of `shown`.
        pictured: What each method makes of the patches that are shown, by its name.
    """

    table: pd.DataFrame
    cells: list[Cell]
    whose: dict[str, Measured]
    params: EvaluateParams
    conditions: Conditions
    settings: dict[str, dict[str, Any]]
    shown: dict[str, Method]
    sharpened: dict[str, Method]
    denoisers: dict[str, Denoiser]
    pictured: dict[str, np.ndarray]

    @cached_property
    def means(self) -> dict[str, dict[str, float]]:
        """The means of each method, see `degrain.evaluation.summary`."""
        return summary.summarize(self.table)

    @property
    def champion(self) -> Method:
        """The best trial."""
        return self.shown[self.cells[0].best_trial]


def measure(
    params: EvaluateParams,
    store: PatchStore,
    trials: Sequence[TrialRecord],
    folder: Path,
    device: torch.device,
    patches: np.ndarray,
    progress: Callable[[], None],
) -> Measurement:
    """Measure everything on the same data and rank the grid.

    Args:
        params: How.
        store: The data.
        trials: Those that are done.
        folder: Where they lie, in a folder for each model.
        device: Where networks run, prepared by `degrain.machine.compute`.
        patches: Noisy ones that are shown, (count, size, size, channels), of the store's type.
        progress: Called after each of the `count` methods.

    Raises:
        DataError: No trial is done.
        ModelError: A trial's weights are damaged, or it has been replaced meanwhile.
    """
    photographs = store.photographs()
    conditions = protocol.conditions(device)
    whose = partial(_whose, params=params, store=store, conditions=conditions)
    settings, measured, pictured, scores = {}, {}, {}, []
    for make in _makers(params, store, trials, folder, device):
        method = make()
        settings[method.name], measured[method.name] = method.settings, whose(method)
        scores.append(scoring.score(method, store, photographs))
        pictured[method.name] = method.patches(patches)
        progress()
    cells = ranking.rank(trials, pd.concat(scores, ignore_index=True), params.bootstrap, params.confidence)
    by_name = {trial.name: trial for trial in trials}
    best = [by_name[cell.best_trial] for cell in ranking.best_of_models(cells)]
    denoisers = {trial.name: _denoiser(trial, folder, device) for trial in best}
    shown = {name: _network(name, denoiser, params) for name, denoiser in denoisers.items()}
    sharpened = {name: methods.sharpened(method) for name, method in shown.items()} if params.sharpen else {}
    scores += [scoring.score(method, store, photographs) for method in sharpened.values()]
    return Measurement(
        table=pd.concat(scores, ignore_index=True),
        cells=cells,
        whose=measured | {method.name: whose(method) for method in sharpened.values()},
        params=params,
        conditions=conditions,
        settings=settings,
        shown=shown,
        sharpened=sharpened,
        denoisers=denoisers,
        pictured=pictured | {method.name: method.patches(patches) for method in sharpened.values()},
    )


def count(params: EvaluateParams, trials: Sequence[TrialRecord]) -> int:
    """Return how many methods `measure` measures before the sharpened ones."""
    return 1 + len(params.baselines) + len(trials)


def _makers(
    params: EvaluateParams, store: PatchStore, trials: Sequence[TrialRecord], folder: Path, device: torch.device
) -> Iterator[Callable[[], Method]]:
    """Yield what makes each method, so that one network at a time is in memory."""
    yield methods.identity
    for name in params.baselines:
        yield partial(methods.baseline, BASELINES[name], store.split("val"), store.noise)
    for trial in trials:
        yield lambda trial=trial: _network(trial.name, _denoiser(trial, folder, device), params)  # type: ignore[misc]


def _network(name: str, denoiser: Denoiser, params: EvaluateParams) -> Method:
    return methods.network(name, denoiser, params.tile, params.overlap)


def _denoiser(trial: TrialRecord, folder: Path, device: torch.device) -> Denoiser:
    """Load a trial's network.

    Raises:
        ModelError: It is damaged, or another trial lies there by now.
    """
    loaded = Denoiser.load(trial.folder(folder), device)
    if loaded.trial != trial:
        raise ModelError(f"{trial.folder(folder)} has changed while it was used; run: dvc repro evaluate")
    return loaded


def _whose(method: Method, params: EvaluateParams, store: PatchStore, conditions: Conditions) -> Measured:
    """Say whose scores those of a method are: by what its network was loaded from, not by what should lie there."""
    trial = method.trial
    digest = protocol.digest(trial.model if trial else None, store.sha256, params, conditions)
    if trial is None:
        return Measured(protocol=digest)
    if method.kind == "sharpened":
        return Measured(model=trial.model, protocol=digest)
    return Measured(model=trial.model, trial_key=trial.key, weights_sha256=trial.weights_sha256, protocol=digest)
