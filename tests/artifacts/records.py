"""Records as stages leave them, to be changed by tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from degrain import files
from degrain.artifacts.base import CHECKSUM, seal
from degrain.artifacts.code import Code
from degrain.artifacts.ranking import Cell, Ranking, Validation
from degrain.artifacts.registration import Verdict
from degrain.artifacts.source import SOURCE, AskedFiles, RawFile, Source
from degrain.artifacts.trial import HISTORY, WEIGHTS, TrialRecord
from degrain.artifacts.trial import TRIAL as TRIAL_FILE
from degrain.artifacts.validation import Asked
from degrain.artifacts.validation import Validation as Validated
from degrain.errors import ModelError
from degrain.ingest.datasets import catalog
from degrain.networks import identity
from degrain.packaging import layout
from degrain.params.data import DataParams, ValidateParams
from degrain.params.results import EvaluateParams
from degrain.registry import tags

TRIAL: dict[str, Any] = {
    "schema_version": TrialRecord.VERSION,
    "name": "unet-adam-mse",
    "model": "unet",
    "optimizer": "adam",
    "optimizer_settings": {"name": "adam", "lr": 0.1, "betas": [0.9, 0.999]},
    "loss": "mse",
    "loss_settings": {"name": "mse"},
    "seed": 0,
    "training": {"epochs": 3, "batch_size": 4},
    "channels": 3,
    "bits": 8,
    "light": "srgb",
    "patch_size": 32,
    "noise": {"kind": "gaussian", "sigma": 25.0},
    "data_sha256": "d" * 64,
    "key": "key",
    "place": {"device": "cpu", "precision": "float32", "world": 1, "machine": "AVX2"},
    "origin": {"commit": "c0ffee", "degrain": "0.1", "machine": {"processor": "a CPU", "cores": "2"}},
    "versions": {"torch": "1.2"},
    "state": "done",
    "reason": "",
    "failures": [],
    "parameters": 7,
    "epochs_done": 3,
    "epoch": 3,
    "train_loss": 0.3,
    "val_loss": 0.2,
    "val_psnr": 20.0,
    "parts": 1,
    "seconds": 1.5,
    "peak_memory_mb": 100.0,
    "began": 0.0,
    "ended": 0.0,
    "sha256": {WEIGHTS: "w" * 64, HISTORY: "h" * 64},
}


def trial(**change: Any) -> TrialRecord:
    """What train leaves of a trial, with changes."""
    made = TRIAL | change
    return TrialRecord.model_validate({"network_sha256": _network(made["model"])} | made)


def _network(name: str) -> str:
    """The digest of a network's code; of one that there is not, another."""
    try:
        return identity.digest(name)
    except ModelError:
        return "n" * 64


def verdict(**change: Any) -> Verdict:
    """What the gate says of a trial and one rival, with changes."""
    made: dict[str, Any] = {
        "rival": "the noisy input",
        "measure": "test_psnr",
        "candidate": 30.25,
        "rival_score": 20.5,
        "gain": 9.75,
        "low": None,
        "sources": 2,
        "won": 2,
        "needed": 0.0,
        "passed": True,
    }
    return Verdict.model_validate(made | change)


def package(folder: Path) -> None:
    """Put files where a packaged model has code and network, which nobody can load."""
    for name in (layout.CODE, layout.NETWORK):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def model(folder: Path, weights: str, **change: Any) -> TrialRecord:
    """A folder with a packaged model whose weights are a text."""
    folder.mkdir(exist_ok=True)
    package(folder)
    (folder / WEIGHTS).write_text(weights)
    made = trial(sha256={WEIGHTS: files.sha256(folder / WEIGHTS)}, **change)
    made.write(folder / TRIAL_FILE)
    return made


def version_tags(made: TrialRecord, folder: Path) -> dict[str, str]:
    """The tags of a registered version that say which model it is."""
    return {
        tags.WEIGHTS: str(made.weights_sha256),
        tags.KEY: made.key,
        tags.PACKAGE: files.tree_digest(folder),
    }


def rewrite(path: Path, **change: Any) -> None:
    """Change fields of a record in its file, as if it had been written like that."""
    content = json.loads(path.read_text()) | change
    content.pop(CHECKSUM, None)
    path.unlink()  # it may be a link into DVC's cache
    path.write_text(json.dumps(seal(content)))


def downloaded(folder: Path, data: DataParams) -> Source:
    """Write source.json beside the files of a data set, as download would have left it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SOURCE)
    record = Source(
        schema_version=Source.VERSION,
        asked=AskedFiles.of(data),
        published=catalog.spec(data.dataset).published,
        title="",
        origin="",
        licence="",
        citation="",
        files=[
            RawFile(
                file=path.relative_to(folder).as_posix(),
                bytes=path.stat().st_size,
                sha256=files.sha256(path),
                origin="a test",
            )
            for path in paths
        ],
    )
    record.write(folder / SOURCE)
    return record


def validation(**change: Any) -> Validated:
    """What validate leaves of no image."""
    made = {
        "schema_version": Validated.VERSION,
        "asked": Asked(data=DataParams(dataset="photos"), validation=ValidateParams()),
        "code": Code(modules=["degrain.patches.preparation"], sha256="c" * 64),
        "files_sha256": "r" * 64,
        "images": 0,
        "published": 0,
        "quarantined": [],
        "expectations": [],
        "near_copies": [],
        "pictures_sha256": "p" * 64,
        "manifest_sha256": "m" * 64,
    }
    return Validated.model_validate(made | change)


def cell(model: str = "unet", optimizer: str = "adam", psnr: float = 30.0, **change: Any) -> Cell:
    """A cell of one trial, which has the same PSNR everywhere, and an SSIM of a fiftieth of that."""
    name = f"{model}-{optimizer}-mse"
    made = {
        "model": model,
        "optimizer": optimizer,
        "loss": "mse",
        "trials": [name],
        "best_trial": name,
        "validation": Validation(mean=psnr, low=psnr - 1, high=psnr + 1, seed_std=None),
        "parameters": 7,
        "seconds": 1.5,
        "scores": scores(psnr),
    }
    return Cell.model_validate(made | change)


def scores(psnr: float) -> dict[str, float]:
    """Means over patches."""
    return {"val_psnr": psnr, "test_psnr": psnr, "test_ssim": psnr / 50}


def ranking(*cells: Cell, **change: Any) -> Ranking:
    """What evaluate leaves, the first cell the champion's."""
    made = {
        "schema_version": Ranking.VERSION,
        "params": EvaluateParams(),
        "strips": 6,
        "frames": 0,
        "champion": cells[0].best_trial,
        "cells": list(cells),
        "identity": scores(20.0),
        "baselines": {},
        "sharpened": {},
        "cameras": {},
        "unranked": [],
        "stand_in": "",
        "data_sha256": "d" * 64,
        "manifest_sha256": "m" * 64,
        "table_sha256": "t" * 64,
        "pictures": Code(modules=["degrain.evaluation.examples"], sha256="c" * 64),
        "examples_sha256": "e" * 64,
    }
    return Ranking.model_validate(made | change)
