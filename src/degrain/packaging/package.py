"""A trained model as one folder that anyone can load: with degrain, with MLflow, with any runtime of ONNX."""

from __future__ import annotations

import datetime
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from PIL import Image

from degrain import files
from degrain.artifacts.trial import TRIAL, WEIGHTS, TrialRecord
from degrain.errors import ModelError
from degrain.inference.denoiser import Denoiser
from degrain.machine import variables
from degrain.packaging import card, layout, onnx_export, standalone
from degrain.packaging.card import Facts

# What serving needs, and nothing else.
REQUIRED = ("mlflow-skinny", "numpy", "onnxruntime", "pandas", "pillow")
# Pictures that are shown, and their largest side before and after, in pixels.
SHOWN, SHOWN_SIDE = 2, 160

# Under these names the code finds the network, and the digest of its file.
_NETWORK, _DIGEST = "network", "network_sha256"


def write(folder: Path, trial: Path, facts: Facts, photographs: Path) -> None:
    """Package a trained model.

    Args:
        folder: What is made; one that is there is replaced when all is done.
        trial: Folder of the trial, with its weights.
        facts: What the card tells, also of the trial.
        photographs: Has a folder for each held-out photograph, with noisy.png and denoised.png; need not exist.

    Raises:
        ModelError: The trial's folder holds another trial or other weights, or its network cannot be exported.
        OutputError: The folder cannot be written.
    """
    with files.new_folder(folder) as partial, TemporaryDirectory(prefix="degrain-") as temporary:
        network, code = Path(temporary, Path(layout.NETWORK).name), Path(temporary, layout.CODE)
        network.write_bytes(onnx_export.export(_loaded(trial, facts.trial)))
        code.write_text(standalone.source(), encoding="utf-8")
        _save(partial, network, code, facts.trial)
        for name in (WEIGHTS, TRIAL):
            (partial / name).write_bytes(files.contents(trial / name))
        require(partial, facts.trial)
        _draw_examples(partial / layout.EXAMPLES, photographs)
        shown = layout.examples(partial)
        (partial / layout.CARD).write_text(card.text(facts, shown), encoding="utf-8")


def require(folder: Path, trial: TrialRecord) -> None:
    """Refuse a folder that holds another trial, or other weights.

    Args:
        folder: Of a model.
        trial: What is to lie there.

    Raises:
        ModelError: It does not.
    """
    if TrialRecord.read(folder / TRIAL) != trial or files.sha256(folder / WEIGHTS) != trial.weights_sha256:
        raise ModelError(f"{folder} has changed while it was used; run: dvc repro register")


def _loaded(folder: Path, trial: TrialRecord) -> Denoiser:
    denoiser = Denoiser.load(folder)
    if denoiser.trial != trial:
        raise ModelError(f"{folder} has changed while it was used; run: dvc repro register")
    return denoiser


def _save(folder: Path, network: Path, code: Path, trial: TrialRecord) -> None:
    """Write MLmodel and what belongs to it; the folder is empty."""
    variables.switch_off_telemetry()
    variables.quiet_mlflow()
    with _quiet():
        import mlflow.pyfunc
        from mlflow.exceptions import MlflowException
        from mlflow.models import Model

        ended = datetime.datetime.fromtimestamp(trial.ended, datetime.UTC).replace(tzinfo=None)
        try:
            mlflow.pyfunc.save_model(
                path=str(folder),
                python_model=str(code),
                artifacts={_NETWORK: str(network)},
                model_config={_DIGEST: files.sha256(network)},
                pip_requirements=[f"{name}=={version(name)}" for name in REQUIRED],
                mlflow_model=Model(model_uuid=str(trial.weights_sha256)[:32], utc_time_created=str(ended)),
            )
        except MlflowException as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise
    # NOTE: MLflow writes down where it has copied the files from, and does not need that.
    described: dict[str, Any] = yaml.safe_load((folder / layout.MLMODEL).read_text(encoding="utf-8"))
    flavor = described["flavors"]["python_function"]
    flavor["model_code_path"] = layout.CODE
    flavor["artifacts"][_NETWORK]["uri"] = layout.NETWORK
    (folder / layout.MLMODEL).write_text(yaml.safe_dump(described, sort_keys=True), encoding="utf-8")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what MLflow says of its own dependencies, and of type hints, from the user."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    try:
        # NOTE: recorded, since MLflow sets filters of its own.
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("ignore")
            logger.setLevel(logging.ERROR)
            yield
    finally:
        logger.setLevel(level)


def _draw_examples(folder: Path, photographs: Path) -> None:
    """Draw the middle of some photographs, noisy at the left and denoised at the right."""
    found = sorted(path for path in photographs.glob("*") if path.is_dir())[:SHOWN]
    for number, place in enumerate(found, 1):
        both = [_middle(place / f"{name}.png") for name in ("noisy", "denoised")]
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.concatenate(both, axis=1)).save(folder / f"{number}.png", optimize=True)


def _middle(path: Path) -> np.ndarray:
    """Return the middle of a picture, at most `SHOWN_SIDE` pixels high and wide."""
    with Image.open(path) as image:
        pixels = np.asarray(image)
    top, left = (max(0, (side - SHOWN_SIDE) // 2) for side in pixels.shape[:2])
    return pixels[top : top + SHOWN_SIDE, left : left + SHOWN_SIDE]
