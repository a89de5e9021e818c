"""Writing what evaluate found, and reading it with the proof that it belongs to these trials and this data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from degrain import files
from degrain.artifacts import ranking, scores
from degrain.artifacts.code import Code
from degrain.artifacts.ranking import Baseline, Ranking, Unranked
from degrain.artifacts.scores import Scores
from degrain.artifacts.trial import TrialRecord
from degrain.errors import DataError
from degrain.evaluation import protocol, summary
from degrain.params.results import EvaluateParams, ReportParams
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.snapshots import Snapshot

if TYPE_CHECKING:
    import pandas as pd

    from degrain.evaluation.measurement import Measurement

# The folder of pictures, see `degrain.evaluation.examples`.
EXAMPLES = "examples"
# What draws them, and the plots.
PICTURES = ("degrain.evaluation.examples", "degrain.evaluation.plots")


@dataclass(frozen=True)
class Results:
    """What evaluate left, proven to belong to the study.

    Attributes:
        table: The scores, see `degrain.evaluation.scoring`.
        scores: What each method was, and how it was measured.
        ranking: The grid, best first.
    """

    table: pd.DataFrame
    scores: Scores
    ranking: Ranking


def write(
    folder: Path,
    measured: Measurement,
    trials: Sequence[TrialRecord],
    manifest: pd.DataFrame,
    store: PatchStore,
    shown: ReportParams,
) -> Ranking:
    """Write scores and ranking.

    Args:
        folder: Has the examples; gets scores.parquet, scores.json and ranking.json.
        measured: What was measured.
        trials: All of the study.
        manifest: That of the store: one row per image, with the columns path and camera.
        store: The data.
        shown: How many examples there are.
    """
    scored = scores.write(folder, measured.table, measured.whose, measured.conditions, store.sha256)
    means = measured.means
    ranked = Ranking(
        schema_version=Ranking.VERSION,
        params=measured.params,
        strips=shown.strips,
        frames=shown.frames,
        champion=measured.champion.name,
        cells=measured.cells,
        identity=means["identity"],
        baselines={
            name: Baseline(settings=settings, scores=means[name])
            for name, settings in measured.settings.items()
            if name != "identity" and measured.whose[name].trial_key is None
        },
        sharpened={name: means[method.name] for name, method in measured.sharpened.items()},
        cameras=summary.by_camera(measured.table, manifest),
        unranked=[
            Unranked(name=trial.name, state=trial.state, reason=trial.reason) for trial in trials if not trial.is_done
        ],
        stand_in=store.noise.stand_in,
        data_sha256=store.sha256,
        manifest_sha256=store.record.manifest_sha256,
        table_sha256=scored.table_sha256,
        pictures=Code.of(*PICTURES),
        examples_sha256=files.tree_digest(folder / EXAMPLES),
    )
    ranked.write(folder / ranking.FILE)
    return ranked


def examples(folder: Path, ranked: Ranking) -> Snapshot:
    """Read the pictures that were made with a ranking.

    Raises:
        DataError: They are missing, damaged, or another ranking's.
    """
    found = Snapshot.take(folder / EXAMPLES, Scores.again("-f -s"), files.tree(folder / EXAMPLES))
    if found.sha256 != ranked.examples_sha256:
        raise DataError(f"{folder / EXAMPLES} is damaged or of another run; {Scores.again('-f -s')}")
    return found


def read(folder: Path, trials: Mapping[str, TrialRecord], store: PatchStore, params: Params) -> Results:
    """Read scores and ranking.

    Args:
        folder: Where evaluate left them.
        trials: All trials of the study, by name.
        store: The data that they were measured on.
        params: The study.

    Raises:
        DataError: They are missing, damaged, belong to other trials, weights or data, or were measured with other
            parameters or by other code; the text names the stage.
    """
    table, record = scores.read(folder, trials, store.sha256)
    ranked = Ranking.read(folder / ranking.FILE)
    if ranked.table_sha256 != record.table_sha256:
        raise DataError(f"{folder / ranking.FILE} ranks other scores than {scores.TABLE} holds; {Scores.again()}")
    if ranked.manifest_sha256 != store.record.manifest_sha256:
        raise DataError(f"{folder} was made with another manifest than what is prepared; {Scores.again()}")
    if other := ranked.differences(params):
        raise DataError(
            f"{folder} was made with another {' and '.join(other)} than the study asks for; {Scores.again()}"
        )
    _check_protocol(folder, record, store, params.evaluate)
    if ranked.pictures.has_changed:
        raise DataError(f"the pictures in {folder} were drawn by other code than there is now; {Scores.again()}")
    return Results(table, record, ranked)


def _check_protocol(folder: Path, record: Scores, store: PatchStore, params: EvaluateParams) -> None:
    """Refuse scores that the present code would not measure in the same way, under the conditions they were made in.

    Raises:
        DataError: There are such scores.
    """

    @cache
    def digest(model: str | None) -> str:
        return protocol.digest(model, store.sha256, params, record.conditions)

    for name, measured in record.methods.items():
        if measured.protocol != digest(measured.model):
            raise DataError(
                f"the scores of {name} in {folder} were measured by another protocol: the code that measures has "
                f"changed; {Scores.again()}"
            )
