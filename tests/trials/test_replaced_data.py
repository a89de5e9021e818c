"""The store is replaced while a trial is trained: the ledger gets no entry and no checkpoint under the old digest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from degrain.artifacts.trial import CHECKPOINT
from degrain.errors import DataError, Diverged
from degrain.patches.store import PatchStore
from degrain.training.trial import Trial
from degrain.trials import grid, work
from degrain.trials.ledger import Ledger
from tests import replacing
from tests.trials.conftest import CPU

CHANGED = r"prepared/.*; run: dvc repro -f -s prepare$"


def job_of(trial: Trial, store: PatchStore, folder: Path) -> work.Job:
    return work.Job(trial, work.key_of(trial, store, CPU), store, CPU, Ledger(folder / "ledger"))


@pytest.mark.parametrize("way", replacing.WAYS)
def test_a_trial_whose_data_is_replaced_is_not_entered(
    store: PatchStore, make_trials: Callable[..., list[Trial]], tmp_path: Path, way: str
) -> None:
    job = job_of(make_trials(checkpoint_seconds=0)[0], store, tmp_path)
    saved: list[bytes] = []

    def replace(_: Any) -> None:
        if not saved:
            saved.append((job.ledger.unfinished(job.key) / CHECKPOINT).read_bytes())
            replacing.WAYS[way](store.folder)

    with pytest.raises(DataError, match=CHANGED):
        work.train(job, replace, lambda: False)
    assert job.ledger.find(job.key) is None
    assert (job.ledger.unfinished(job.key) / CHECKPOINT).read_bytes() == saved[0]


@pytest.mark.parametrize("way", replacing.WAYS)
def test_one_that_diverges_over_other_data_is_not_entered(
    store: PatchStore, trials: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    job = job_of(trials[0], store, tmp_path)

    def diverge(*_: Any, **__: Any) -> None:
        replacing.WAYS[way](store.folder)
        raise Diverged("the loss became nan")

    monkeypatch.setattr(work.loop, "train", diverge)
    with pytest.raises(DataError, match=CHANGED):
        work.train(job, lambda _: None, lambda: False)
    assert job.ledger.find(job.key) is None


def test_a_grid_whose_data_is_replaced_ends_in_one_line(store: PatchStore, trials: list[Trial], tmp_path: Path) -> None:
    """Workers open the arrays themselves, after the grid was begun."""
    replacing.swap(store.folder)
    with pytest.raises(DataError, match=CHANGED):
        grid.run(trials, store, CPU, Ledger(tmp_path / "ledger"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "ledger").glob("*/trial.json")) or all(
        path.parent.name.endswith(".unfinished") for path in (tmp_path / "ledger").glob("*/trial.json")
    )


def test_data_that_is_prepared_again_to_the_same_bytes_changes_nothing(
    store: PatchStore, trials: list[Trial], tmp_path: Path
) -> None:
    job, again = job_of(trials[0], store, tmp_path), []

    def rewrite(news: Any) -> None:
        if not again:
            replacing.rewrite(store.folder)
        again.append(news)

    work.train(job, rewrite, lambda: False)
    assert job.ledger.find(job.key)
