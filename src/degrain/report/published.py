"""A paper's own curves, to be drawn under ours."""

from __future__ import annotations

import logging
from pathlib import Path

from degrain import files
from degrain.errors import DataError
from degrain.machine import variables

log = logging.getLogger(__name__)


def sha256(name: str) -> str:
    """Return the SHA-256 of a file of the mirror; "" where no mirror has it."""
    path = _find(name)
    return files.sha256(path) if path else ""


def read(name: str) -> dict[str, list[float]]:
    """Read a paper's curves.

    Args:
        name: A file of the mirror, JSON: {"Adam MSE": {"val": [loss after each epoch]}}; "" is none.

    Returns:
        By optimizer and loss in lower case, the validation loss after each epoch; empty where no mirror has the file.

    Raises:
        DataError: The file holds something else.
    """
    if not name:
        return {}
    path = _find(name)
    if path is None:
        log.info("%s is in no mirror (DEGRAIN_MIRROR): the published curves are left out", name)
        return {}
    try:
        curves = files.parse_json(files.contents(path))
        return {pair.lower(): [float(value) for value in curve["val"]] for pair, curve in curves.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} holds no curves by optimizer and loss: {error}") from error


def _find(name: str) -> Path | None:
    mirror = variables.mirror()
    path = Path(mirror or "") / name
    return path if name and mirror and path.is_file() else None
