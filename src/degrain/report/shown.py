"""What a report shows of the study, and what it is made of: by this it is known again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from degrain import files
from degrain.artifacts.code import Code
from degrain.artifacts.ranking import Ranking
from degrain.artifacts.report import Shown
from degrain.artifacts.trial import TrialRecord
from degrain.artifacts.validation import Validation
from degrain.declaration import described
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.report import published

# What draws the figures and writes the page.
CODE = ("degrain.report.gallery", "degrain.report.html")


def of(
    params: Params, validation: Validation, store: PatchStore, trials: Sequence[TrialRecord], ranked: Ranking
) -> Shown:
    """Describe what a report of the study as it lies on the disk is to show.

    Args:
        params: The study.
        validation: What validate wrote.
        store: What prepare wrote.
        trials: All of the study.
        ranked: What evaluate wrote.
    """
    return Shown(
        code=Code.of(*CODE),
        settings=_settings(params, store, trials, ranked),
        validation_sha256=files.digest(validation.model_dump(mode="json")),
        store_sha256=files.digest(store.record.model_dump(mode="json")),
        trials_sha256=files.digest([trial.model_dump(mode="json") for trial in trials]),
        ranking_sha256=files.digest(ranked.model_dump(mode="json")),
        published_sha256=published.sha256(params.report.published),
    )


def _settings(params: Params, store: PatchStore, trials: Sequence[TrialRecord], ranked: Ranking) -> dict[str, Any]:
    """Return what was asked, by section of params.yaml, as the records of what came of it have it.

    Only the title, the grid and what the report shows are taken from the study; and what says how something is
    computed is left out, since by now the study may say something else: `degrain.trials.origins` has how it was.

    Args:
        params: The study; the trials are proven to be its grid, see `degrain.trials.of_study`.
        store: Of the images, and of how they were prepared.
        trials: All of the study.
        ranked: What evaluate wrote.
    """
    study = described(params)
    images = described(store.record.asked)
    grid = {name: study["train"][name] for name in ("models", "optimizers", "losses", "pairs", "seeds")}
    return {
        "study": study["study"],
        "data": images["data"],
        "validate": images["validation"],
        "prepare": described(store.record.params),
        "train": grid | trials[0].training,
        "evaluate": described(ranked.params),
        "report": study["report"],
        "register": {"gate": study["register"]["gate"]},
    }
