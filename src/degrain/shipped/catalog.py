"""The models that come with degrain, each in a folder of its name: trial.json, weights.safetensors and a model card.

The studies of the same names train them.
"""

from __future__ import annotations

from pathlib import Path

from degrain.artifacts.trial import TRIAL

FOLDER = Path(__file__).parent
# Denoises where the study has no champion yet.
DEFAULT = "best"


def names() -> list[str]:
    """Return the names of all models that ship."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{TRIAL}"))


def folder(name: str) -> Path | None:
    """Return the folder of a model that ships; None if none is called that."""
    return FOLDER / name if name in names() else None
