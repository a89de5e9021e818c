"""The report's figures, as SVG text that stands in the page itself."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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


def learning_curves(histories: dict[str, pd.DataFrame], trials: dict[str, dict[str, Any]]) -> str:
    """Draw training and validation loss and validation PSNR over the epochs of one model's trials.

    Args:
        histories: For each trial's label, its history with epoch, train_loss, val_loss, val_psnr.
        trials: For each label, its trial.json: optimizers differ in color, losses of different kinds get a panel each.

    Returns:
        SVG text. Solid lines are validation, dashed ones training.
    """
    import matplotlib as mpl

    optimizers, losses = _axes(trials.values())
    colors = dict(zip(optimizers, itertools.cycle(COLORS), strict=False))
    rows, columns = -(-(len(losses) + 1) // COLUMNS), min(COLUMNS, len(losses) + 1)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6 * columns, 2.7 * rows), layout="constrained")
        panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
        for label, history in histories.items():
            panel, color = panels[losses.index(trials[label]["loss"])], colors[trials[label]["optimizer"]]
            panel.plot(history["epoch"], history["train_loss"], "--", color=color, alpha=0.7, linewidth=1)
            panel.plot(history["epoch"], history["val_loss"], color=color)
            panels[len(losses)].plot(history["epoch"], history["val_psnr"], color=color)
        for panel, loss in zip(panels, losses, strict=False):
            values = np.concatenate([line.get_ydata() for line in panel.lines] or [[]])
            panel.set(
                title=f"{loss} (dashed: training)", xlabel="epoch", yscale="log" if np.all(values > 0) else "linear"
            )
        panels[len(losses)].set(title="validation PSNR, dB", xlabel="epoch")
        for panel in panels[len(losses) + 1 :]:
            panel.set_axis_off()
        key = [Line2D([], [], color=color, label=optimizer) for optimizer, color in colors.items()]
        figure.legend(handles=key, loc="outside lower center", ncols=len(key), frameon=False, fontsize=8)
        return _svg(figure)


def _axes(trials: Iterable[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the optimizers and the losses of trials, each in the order in which they first come."""
    pairs = [(trial["optimizer"], trial["loss"]) for trial in trials]
    optimizers, losses = (list(dict.fromkeys(axis)) for axis in zip(*pairs, strict=True))
    return optimizers, losses


def heat_map(cells: list[dict[str, Any]], trials: list[dict[str, Any]]) -> str:
    """Draw validation PSNR of one model over optimizer x loss; cells without a result say why.

    Args:
        cells: Ranked cells of one model: optimizer, loss, val_psnr.
        trials: The trial.json of all its trials: optimizer, loss, state.

    Returns:
        SVG text.
    """
    import matplotlib as mpl

    optimizers, losses = _axes(trials)
    values = np.full((len(optimizers), len(losses)), np.nan)
    words = np.full(values.shape, "-", dtype=object)
    for trial in trials:
        words[optimizers.index(trial["optimizer"]), losses.index(trial["loss"])] = trial["state"]
    for cell in cells:
        values[optimizers.index(cell["optimizer"]), losses.index(cell["loss"])] = cell["val_psnr"]
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


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # Without the XML head, and with names of their own, several drawings can stand in one page.
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2).replace("<svg ", '<svg role="img" ', 1)
