"""What a report is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from degrain.artifacts.ranking import Ranking


@dataclass(frozen=True)
class Material:
    """Everything the report is made of.

    Attributes:
        title: Of the study.
        params: The study as loaded, for the table of settings.
        ranking: What evaluate wrote.
        histories: For each trial, its history.
        trials: For each trial, its trial.json.
        manifest: One row per image.
        validation: What validate wrote.
        store: What prepare wrote: counts, leaks, patch size, noise.
        sides: One row per image that was used: path, source, side.
        examples: Folder with the pictures that evaluate wrote.
        docs: For each suite the address of its page in the Data Docs, relative to the report.
        machine, versions: Where it was computed, and with what.
        made: Date and commit.
        published: A paper's own curves, see `degrain.report.figures.learning_curves`; may be empty.
    """

    title: str
    params: dict[str, Any]
    ranking: Ranking
    histories: dict[str, pd.DataFrame]
    trials: dict[str, dict[str, Any]]
    manifest: pd.DataFrame
    validation: dict[str, Any]
    store: dict[str, Any]
    sides: pd.DataFrame
    examples: Path
    docs: dict[str, str]
    machine: dict[str, str]
    versions: dict[str, str]
    made: dict[str, str]
    published: dict[str, list[float]]
