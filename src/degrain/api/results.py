"""What trials and studies left, as tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from degrain.api.denoising import OVERLAP, TILE, ImageDenoiser, load
from degrain.artifacts.ranking import FILE, Ranking
from degrain.errors import DataError
from degrain.patches.store import PatchStore
from degrain.stages import EVALUATED, PREPARED

if TYPE_CHECKING:
    import pandas as pd

    from degrain.evaluation.comparing import Comparison


def read_ledger(folder: str | Path | None = None) -> pd.DataFrame:
    """Read the trials of a ledger, as `degrain trials` lists them.

    Args:
        folder: The `folder` of `train`; the ledger of the project in the present folder if absent.

    Returns:
        One row for each trial, those that have not ended first: folder, key, name, state (running, stopped, done,
        diverged, failed, damaged or outdated), epochs_done, epochs, val_psnr (dB), seconds, seconds_left, reason,
        idle_days. No rows where there is no ledger.

    Examples:
        >>> import degrain
        >>> degrain.read_ledger("nowhere").empty
        True
    """
    from dataclasses import fields

    import pandas as pd

    from degrain.trials import listing
    from degrain.trials.ledger import Ledger

    rows = listing.rows(Ledger(Path(folder) if folder else None))
    return pd.DataFrame(rows, columns=[one.name for one in fields(listing.Row)])


def read_history(folder: str | Path) -> pd.DataFrame:
    """Read what each epoch of a trial left.

    Args:
        folder: Of a trial: of the ledger, of data/trials, or that `TrainedTrial.save` made.

    Returns:
        One row per epoch: epoch, train_loss, val_loss, val_psnr (dB), rate, images_per_second, cpu, memory_mb,
        gpu_memory_mb, ended (seconds since 1970).

    Raises:
        DataError: There is none, or it is damaged.

    Examples:
        >>> import degrain
        >>> degrain.read_history("nowhere")
        Traceback (most recent call last):
        ...
        degrain.errors.DataError: nowhere/trial.json is missing; run: dvc repro train
    """
    from degrain.artifacts import history
    from degrain.artifacts.trial import TRIAL, TrialRecord

    return history.read(Path(folder), TrialRecord.read(Path(folder) / TRIAL))


def read_scores(folder: str | Path = EVALUATED) -> pd.DataFrame:
    """Read all scores of a study.

    Args:
        folder: Where evaluate left them; by default that of the project in the present folder.

    Returns:
        One row for each method, item and metric: method, kind (identity, baseline, trial or sharpened), split (val or
        test), item (patch or photograph), image, unit (of evidence: a source or scene), metric, value.

    Raises:
        DataError: There are none, or they are damaged.

    Examples:
        >>> import degrain
        >>> degrain.read_scores("nowhere")
        Traceback (most recent call last):
        ...
        degrain.errors.DataError: nowhere/scores.json is missing; run: dvc repro evaluate
    """
    import pandas as pd

    from degrain import files
    from degrain.artifacts.scores import RECORD, TABLE, Scores

    record = Scores.read(Path(folder) / RECORD)
    content = files.verified(Path(folder) / TABLE, record.table_sha256)
    if content is None:
        raise DataError(f"{Path(folder) / TABLE} is missing or damaged; {Scores.again('-f -s')}")
    return pd.read_parquet(content)


def read_ranking(folder: str | Path = EVALUATED) -> pd.DataFrame:
    """Read the ranking of a study.

    Args:
        folder: As of `read_scores`.

    Returns:
        One row for each cell of the grid, best first, then the classical denoisers and the noisy input: method, kind
        (trial, baseline or identity), model, optimizer, loss, parameters, seconds, and mean scores by names such as
        `val_psnr`, `test_psnr`, `photograph_psnr`. A cell is shown by its best trial; `val_mean` with `val_low` and
        `val_high`, the interval over patches, is that over its seeds, and what ranks it.

    Raises:
        DataError: There is none, or it is damaged.

    Examples:
        >>> import degrain
        >>> degrain.read_ranking("nowhere")
        Traceback (most recent call last):
        ...
        degrain.errors.DataError: nowhere/ranking.json is missing; run: dvc repro evaluate
    """
    import pandas as pd

    ranking = Ranking.read(Path(folder) / FILE)
    cells = [
        {"method": cell.best_trial, "kind": "trial"}
        | cell.model_dump(include={"model", "optimizer", "loss", "parameters", "seconds"})
        | {f"val_{name}": value for name, value in cell.validation.model_dump(exclude={"seed_std"}).items()}
        | cell.scores
        for cell in ranking.cells
    ]
    baselines = [{"method": name, "kind": "baseline"} | scores for name, scores in ranking.baseline_scores.items()]
    return pd.DataFrame([*cells, *baselines, {"method": "identity", "kind": "identity"} | ranking.identity])


def compare(
    first: str | Path | ImageDenoiser,
    second: str | Path | ImageDenoiser,
    store: PatchStore | str | Path = PREPARED,
    *,
    tile: int = TILE,
    overlap: int = OVERLAP,
) -> dict[str, Comparison]:
    """Measure two models on the test images of a store, image by image.

    Args:
        first: A denoiser, or what `load` takes.
        second: Another one.
        store: Patches, as of `prepare` or `open_store`; or the folder of a store.
        tile: As of `ImageDenoiser`.
        overlap: As of `ImageDenoiser`.

    Returns:
        A comparison by `test_psnr` (patches) and, where the store has whole images, by `photograph_psnr`. Each has
        `gain` (dB by which the first is better), `interval` (95 %, by Student's t over sources, never over patches;
        None over fewer than six), `won`, and `table`, with one row for each source.

    Raises:
        DataError: There is no such store, or it is damaged.
        ModelError: There is no such model, or it denoises other images than those of the store.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> import degrain
        >>> photos = [np.full((32, 32, 3), light) for light in (0.2, 0.5, 0.8)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = degrain.prepare(photos, f"{folder}/store", patch_size=32)
        ...     found = degrain.compare("small", "small", store)
        >>> print(found["test_psnr"])
        the two are equal, on all 1 sources
    """
    from degrain.evaluation import comparing, methods

    opened = store if isinstance(store, PatchStore) else PatchStore.open(Path(store))
    made = []
    for place, model in (("the first model", first), ("the second model", second)):
        denoiser = model if isinstance(model, ImageDenoiser) else load(model)
        name = place if isinstance(model, ImageDenoiser) else str(model)
        comparing.require_fit(name, denoiser.inner, opened, str(opened.folder))
        made.append(methods.network(name, denoiser.inner, tile, overlap))
    return {one.measure: one for one in comparing.compare(made[0], made[1], opened)}
