"""Every figure of a study, by file name: for the report, for `dvc plots` and for MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from degrain import figures
from degrain.artifacts.ranking import Ranking
from degrain.evaluation import ranking
from degrain.evaluation.sharpening import sharpened_name
from degrain.report.material import Material


def draw(material: Material) -> dict[str, bytes]:
    """Draw the figures.

    Returns:
        For each network <model>-learning_curves.svg, <model>-heat_map.svg if it has more than one cell, and
        <model>-interpolation.gif if it has a code; patches.png, strips of test patches; for each whole test image
        photograph-<name>.png: noisy, denoised, clean.
    """
    return dict(_figures(material))


def _figures(material: Material) -> Iterator[tuple[str, bytes]]:
    cells = material.ranking.cells
    for model in dict.fromkeys(trial.model for trial in material.trials.values()):
        trials = {name: trial for name, trial in material.trials.items() if trial.model == model}
        labels = {name: name.removeprefix(f"{model}-") for name in trials}
        curves = figures.learning_curves(
            {labels[name]: material.histories[name] for name in trials if len(material.histories[name])},
            {labels[name]: trial for name, trial in trials.items()},
            material.params.report.loss_scale,
            material.published,
        )
        yield f"{model}-learning_curves.svg", curves.encode()
        own = [cell for cell in cells if cell.model == model]
        if own and len({(trial.optimizer, trial.loss) for trial in trials.values()}) > 1:
            yield f"{model}-heat_map.svg", figures.heat_map(own, list(trials.values())).encode()
    best = ranking.best_of_models(cells)
    yield "patches.png", figures.strips(strips(material, [cell.best_trial for cell in best]))
    for cell in best:
        animation = material.examples / "animations" / f"{cell.best_trial}.gif"
        if animation.is_file():
            yield f"{cell.model}-interpolation.gif", animation.read_bytes()
    for place in sorted((material.examples / "photographs").glob("*")):
        pictures = [read(place / f"{name}.png") for name in ("noisy", "denoised", "clean")]
        yield f"photograph-{place.name}.png", figures.side_by_side(pictures)


def strips(material: Material, trials: list[str]) -> list[tuple[str, list[np.ndarray]]]:
    """Return the rows of test patches, each with what people call it, in order: noisy, clean, what came out."""
    sharp = material.ranking.sharpened
    outputs = [name for trial in trials for name in (trial, sharpened_name(trial)) if name == trial or trial in sharp]
    labels = {"noisy": "noisy", "clean": truth(material.ranking), **{name: name for name in outputs}}
    places = sorted((material.examples / "patches").iterdir())
    return [(label, [read(place / f"{name}.png") for place in places]) for name, label in labels.items()]


def read(picture: Path) -> np.ndarray:
    """Read the pixels of a picture that a stage left: uint8 (H, W) or (H, W, 3)."""
    return np.asarray(Image.open(picture))


def truth(ranked: Ranking) -> str:
    """Return what people call the pictures that outputs are compared with."""
    return "stand-in" if ranked.stand_in else "clean"
