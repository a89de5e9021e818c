"""Measure a whole study: the noisy input, the classical denoisers, every trial and sharpened outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from degrain.artifacts.ranking import Cell
from degrain.artifacts.scores import Conditions, Measured
from degrain.artifacts.trial import TrialRecord
from degrain.baselines.catalog import BASELINES
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
    progress: Callable[[], None],
) -> Measurement:
    """Measure everything on the same data and rank the grid.

    Args:
        params: How.
        store: The data.
        trials: Those that are done.
        folder: Where they lie, in a folder for each model.
        device: Where networks run, prepared by `degrain.machine.compute`.
        progress: Called after each of the `count` methods.

    Raises:
        DataError: No trial is done.
        ModelError: A trial's weights are damaged.
    """
    photographs = store.photographs()
    settings, scores = {}, []
    for make in _makers(params, store, trials, folder, device):
        method = make()
        settings[method.name] = method.settings
        scores.append(scoring.score(method, store, photographs))
        progress()
    cells = ranking.rank(trials, pd.concat(scores, ignore_index=True), params.bootstrap, params.confidence)
    by_name = {trial.name: trial for trial in trials}
    best = [by_name[cell.best_trial] for cell in ranking.best_of_models(cells)]
    denoisers = {trial.name: _denoiser(trial, folder, device) for trial in best}
    shown = {name: _network(name, denoiser, params) for name, denoiser in denoisers.items()}
    sharpened = {name: methods.sharpened(method) for name, method in shown.items()} if params.sharpen else {}
    scores += [scoring.score(method, store, photographs) for method in sharpened.values()]
    conditions = protocol.conditions(device)
    return Measurement(
        table=pd.concat(scores, ignore_index=True),
        cells=cells,
        whose=_whose(params, store, trials, sharpened, conditions),
        params=params,
        conditions=conditions,
        settings=settings,
        shown=shown,
        sharpened=sharpened,
        denoisers=denoisers,
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
        yield partial(methods.baseline, BASELINES[name], store.split("val"))
    for trial in trials:
        yield lambda trial=trial: _network(trial.name, _denoiser(trial, folder, device), params)  # type: ignore[misc]


def _network(name: str, denoiser: Denoiser, params: EvaluateParams) -> Method:
    return methods.network(name, denoiser, params.tile, params.overlap)


def _denoiser(trial: TrialRecord, folder: Path, device: torch.device) -> Denoiser:
    return Denoiser.load(trial.folder(folder), device)


def _whose(
    params: EvaluateParams,
    store: PatchStore,
    trials: Sequence[TrialRecord],
    sharpened: Mapping[str, Method],
    conditions: Conditions,
) -> dict[str, Measured]:
    def digest(model: str | None) -> str:
        return protocol.digest(model, store.sha256, params, conditions)

    whose = dict.fromkeys(["identity", *params.baselines], Measured(protocol=digest(None)))
    for trial in trials:
        of_model = digest(trial.model)
        whose[trial.name] = Measured(
            model=trial.model, trial_key=trial.key, weights_sha256=trial.weights_sha256, protocol=of_model
        )
        if trial.name in sharpened:
            whose[sharpened[trial.name].name] = Measured(model=trial.model, protocol=of_model)
    return whose
