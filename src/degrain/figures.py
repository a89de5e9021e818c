"""Drawings: curves and maps as SVG text, pictures side by side as PNG."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from degrain.artifacts.ranking import Cell
from degrain.artifacts.trial import TrialRecord

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "degrain",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.titleweight": "bold",
}
COLORS = ("#0f766e", "#c2410c", "#4338ca", "#a16207", "#be185d", "#15803d", "#475569", "#7e22ce")


# Panels side by side; more go into further rows.
COLUMNS = 4
# Epochs that a drawing of curves shows, of all its trials together, so that it stays below 0.2 MB.
POINTS = 2500
# The attributes of an SVG that have coordinates, and what is cut off there.
PLACES, DECIMALS = re.compile(r'\b(?:d|x|y|transform)="[^"]*"'), re.compile(r"(\.\d\d)\d+")


def learning_curves(
    histories: Mapping[str, pd.DataFrame],
    trials: Mapping[str, TrialRecord],
    scale: str = "log",
    published: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> str:
    """Draw training and validation loss and validation PSNR over the epochs of one model's trials.

    Args:
        histories: For each trial's label, its history with epoch, train_loss, val_loss, val_psnr.
        trials: For each label, its trial: optimizers differ in color, losses of different kinds get a panel each.
        scale: Of the losses, "log" or "linear"; a loss that is not positive has no logarithm and stays linear.
        published: A paper's own curves, by optimizer and loss in lower case, as in "adam mse": the validation loss
            after each epoch.

    Returns:
        SVG text. Solid lines are validation, dashed ones training, dotted ones published. Of long curves of many
        trials, only every so many epochs are drawn, see `POINTS`.
    """
    import matplotlib as mpl

    optimizers, losses = _axes(trials.values())
    colors = dict(zip(optimizers, itertools.cycle(COLORS), strict=False))
    rows, columns = -(-(len(losses) + 1) // COLUMNS), min(COLUMNS, len(losses) + 1)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6 * columns, 2.7 * rows), layout="constrained")
        panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
        for label, history in histories.items():
            panel, color = panels[losses.index(trials[label].loss)], colors[trials[label].optimizer]
            drawn = _thinned(history, epochs_drawn(len(histories)))
            panel.plot(drawn["epoch"], drawn["train_loss"], "--", color=color, alpha=0.7, linewidth=1)
            panel.plot(drawn["epoch"], drawn["val_loss"], color=color)
            panels[len(losses)].plot(drawn["epoch"], drawn["val_psnr"], color=color)
        pairs = dict.fromkeys((trial.optimizer, trial.loss) for trial in trials.values())
        theirs = {pair: published[name] for pair in pairs if (name := " ".join(pair).lower()) in published}
        for (optimizer, loss), curve in theirs.items():
            epochs, color = np.arange(1, len(curve) + 1), colors[optimizer]
            panels[losses.index(loss)].plot(epochs, curve, ":", color=color, zorder=1)  # below ours
        for panel, loss in zip(panels, losses, strict=False):
            values = np.concatenate([line.get_ydata() for line in panel.lines] or [[]])
            panel.set(title=loss, xlabel="epoch", yscale=scale if np.all(values > 0) else "linear")
        panels[len(losses)].set(title="validation PSNR, dB", xlabel="epoch")
        for panel in panels[len(losses) + 1 :]:
            panel.set_axis_off()
        styles: dict[str, Literal["-", "--", ":"]] = {"validation": "-", "training": "--"}
        if theirs:
            styles["published"] = ":"
        key = [Line2D([], [], color=color, label=optimizer) for optimizer, color in colors.items()]
        key += [Line2D([], [], color="gray", linestyle=style, label=curve) for curve, style in styles.items()]
        figure.legend(
            handles=key, loc="outside lower center", ncols=min(len(key), 2 * columns), frameon=False, fontsize=8
        )
        return _svg(figure)


def epochs_drawn(trials: int) -> int:
    """Return how many epochs of each trial are drawn at most, in a drawing of so many trials."""
    return max(2, POINTS // trials)


def evenly(count: int, most: int) -> list[int]:
    """Return which of `count` things are shown: all, or `most` of them, evenly spaced, the first and the last too."""
    return [int(place) for place in np.linspace(0, count - 1, min(count, most))]


def _thinned(history: pd.DataFrame, most: int) -> pd.DataFrame:
    """A history with so many epochs at most, evenly spaced, the first and the last too."""
    return history.iloc[evenly(len(history), most)]


def _axes(trials: Iterable[TrialRecord]) -> tuple[list[str], list[str]]:
    """Return the optimizers and the losses of trials, each in the order in which they first come."""
    pairs = [(trial.optimizer, trial.loss) for trial in trials]
    optimizers, losses = (list(dict.fromkeys(axis)) for axis in zip(*pairs, strict=True))
    return optimizers, losses


def heat_map(cells: Sequence[Cell], trials: Sequence[TrialRecord]) -> str:
    """Draw validation PSNR of one model over optimizer x loss; cells without a result say why.

    Args:
        cells: Ranked cells of one model.
        trials: All of its trials.

    Returns:
        SVG text.
    """
    import matplotlib as mpl

    optimizers, losses = _axes(trials)
    values = np.full((len(optimizers), len(losses)), np.nan)
    words = np.full(values.shape, "-", dtype=object)
    for trial in trials:
        words[optimizers.index(trial.optimizer), losses.index(trial.loss)] = trial.state
    for cell in cells:
        values[optimizers.index(cell.optimizer), losses.index(cell.loss)] = cell.validation.mean
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(1.2 + 1.1 * len(losses), 0.9 + 0.55 * len(optimizers)), layout="constrained")
        panel = figure.subplots()
        panel.imshow(values, cmap="YlGnBu", aspect="auto")
        panel.set_xticks(range(len(losses)), losses)
        panel.set_yticks(range(len(optimizers)), optimizers)
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
        middle = np.nanmean([np.nanmin(values), np.nanmax(values)])
        for row, column in np.ndindex(values.shape):
            value = values[row, column]
            text = str(words[row, column]) if np.isnan(value) else f"{value:.2f}"
            panel.text(column, row, text, ha="center", va="center", color="white" if value > middle else "black")
        return _svg(figure)


def strips(rows: Sequence[tuple[str, Sequence[np.ndarray]]]) -> bytes:
    """Draw rows of pictures, as papers show noisy images, clean ones and outputs.

    Args:
        rows: Of each row its name and its pictures: uint8 (H, W), or (H, W, 3) in color, all of one size.

    Returns:
        A PNG file.
    """
    import matplotlib as mpl

    columns, letters = max(len(pictures) for _, pictures in rows), max(len(name) for name, _ in rows)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(0.3 + 0.07 * letters + 0.95 * columns, len(rows)), layout="constrained")
        panels = figure.subplots(len(rows), columns, squeeze=False)
        for panel in panels.flat:
            panel.set_axis_off()
        for (name, pictures), row in zip(rows, panels, strict=True):
            row[0].text(-0.1, 0.5, name, ha="right", va="center", transform=row[0].transAxes)
            for picture, panel in zip(pictures, row, strict=False):
                panel.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return buffer.getvalue()


def side_by_side(pictures: Sequence[np.ndarray]) -> bytes:
    """Put pictures beside each other, pixel by pixel.

    Args:
        pictures: uint8 (H, W), or (H, W, 3) in color, all of one size.

    Returns:
        A PNG file, with white gaps between them.
    """
    gap = np.full_like(pictures[0][:, :8], 255)
    joined = np.hstack([part for picture in pictures for part in (gap, picture)][1:])
    buffer = io.BytesIO()
    Image.fromarray(joined).save(buffer, format="PNG")
    return buffer.getvalue()


def _svg(figure: Figure) -> str:
    """Write a figure as SVG without an XML head; a hundredth of a point is finer than any screen."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return PLACES.sub(lambda found: DECIMALS.sub(r"\1", found[0]), text[text.index("<svg") :])
