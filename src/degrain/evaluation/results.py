"""Reading what evaluate has left, together with the proof that it belongs to these trials and this data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from degrain.artifacts import ranking, scores
from degrain.artifacts.ranking import Ranking
from degrain.artifacts.trial import TrialRecord
from degrain.errors import DataError
from degrain.patches.store import PatchStore

if TYPE_CHECKING:
    import pandas as pd


def read(folder: Path, trials: Mapping[str, TrialRecord], store: PatchStore) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read scores and ranking.

    Args:
        folder: Where evaluate left them.
        trials: All trials of the study, by name.
        store: The data that they were measured on.

    Returns:
        The table of scores, and the ranking.

    Raises:
        DataError: They are missing, damaged, or belong to other trials, weights or data; the text names the stage.
    """
    table, record = scores.read(folder, trials, store.sha256)
    ranked = Ranking.read(folder / ranking.FILE)
    if ranked.table_sha256 != record.table_sha256:
        raise DataError(f"{folder / ranking.FILE} ranks other scores than {scores.TABLE} holds; {scores.AGAIN}")
    return table, ranked.model_dump(exclude_unset=True)
