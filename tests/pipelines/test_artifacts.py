"""What a person sees of a run on the pages of a Prefect server."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings
from rich.progress import Progress

from degrain.params.study import Params
from degrain.training.trial import expand
from degrain.trials import board
from pipelines import artifacts
from tests.artifacts import records


def bar(url: str) -> tuple[float, str]:
    """The only progress artifact on a server: its value and its text."""
    found: list[Any] = httpx.post(f"{url}/artifacts/filter", json={}, timeout=30).json()
    (made,) = (artifact for artifact in found if artifact["type"] == "progress")
    return float(made["data"]), made["description"]


@pytest.mark.slow
def test_a_bar_shows_how_many_trials_of_all_are_done(
    url: str, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = expand(make_params().train, "unet")
    said: list[str] = []
    log = artifacts.followed("train@unet", said.append)

    class Lines(logging.Handler):
        """Hands on what the training prints, as the flow reads it line by line."""

        def emit(self, record: logging.LogRecord) -> None:
            log(record.getMessage())

    monkeypatch.setattr(board.log, "handlers", [Lines()])
    monkeypatch.setattr(board.log, "level", logging.INFO)
    monkeypatch.setattr(artifacts, "_PAUSE", 0.0)
    seen: list[tuple[float, str]] = []

    @flow(name="trains", persist_result=False)
    def trains() -> None:
        with Progress(disable=True) as bars:
            shown = board.Board(bars, trials)
            for trial in trials:
                shown.show(trial.name, records.trial(name=trial.name))
                seen.append(bar(url))

    with temporary_settings({PREFECT_API_URL: url}):
        trains()
    assert seen == [(50, "train@unet: 1 of 2 trials"), (100, "train@unet: 2 of 2 trials")]
    assert len(said) == 2 * len(trials), "each line is logged, too"
