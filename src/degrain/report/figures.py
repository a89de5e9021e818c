"""The report's figures, as SVG text that stands in the page itself."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

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


def learning_curves(histories: dict[str, pd.DataFrame], losses: dict[str, str]) -> str:
    """Draw training and validation loss and validation PSNR over the epochs of one model's trials.

    Args:
        histories: For each trial's label, its history with epoch, train_loss, val_loss, val_psnr.
        losses: For each label, the name of its loss; losses of different kinds get a panel each.

    Returns:
        SVG text. Solid lines are validation, dashed ones training.
    """
    import matplotlib as mpl

    kinds = sorted(set(losses.values()))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6 * (len(kinds) + 1), 2.7), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(kinds) + 1))
        for color, (label, history) in zip(COLORS * len(histories), histories.items(), strict=False):
            panel = panels[kinds.index(losses[label])]
            panel.plot(history["epoch"], history["train_loss"], "--", color=color, alpha=0.7, linewidth=1)
            panel.plot(history["epoch"], history["val_loss"], color=color, label=label)
            panels[-1].plot(history["epoch"], history["val_psnr"], color=color, label=label)
        for panel, kind in zip(panels, kinds, strict=False):
            panel.set(title=f"{kind} (dashed: training)", xlabel="epoch", yscale="log")
            panel.legend(frameon=False, fontsize=7)
        panels[-1].set(title="validation PSNR, dB", xlabel="epoch")
        return _svg(figure)


def axes(trials: Iterable[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the optimizers and the losses of trials, each in the order in which they first come."""
    pairs = [(trial["optimizer"], trial["loss"]) for trial in trials]
    optimizers, losses = (list(dict.fromkeys(axis)) for axis in zip(*pairs, strict=True))
    return optimizers, losses


def heat_map(cells: list[dict[str, Any]], optimizers: list[str], losses: list[str]) -> str:
    """Draw validation PSNR of one model over optimizer x loss; cells without a result stay empty.

    Args:
        cells: Ranked cells of one model: optimizer, loss, val_psnr.
        optimizers: Rows, from top.
        losses: Columns, from left.

    Returns:
        SVG text.
    """
    import matplotlib as mpl

    values = np.full((len(optimizers), len(losses)), np.nan)
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
            text = "-" if np.isnan(value) else f"{value:.2f}"
            panel.text(column, row, text, ha="center", va="center", color="white" if value > middle else "black")
        return _svg(figure)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # Without the XML head, and with names of their own, several drawings can stand in one page.
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2).replace("<svg ", '<svg role="img" ', 1)
