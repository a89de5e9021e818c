"""degrain: train, compare and register image-denoising autoencoders, reproducibly.

    >>> import numpy as np
    >>> import degrain
    >>> noisy = degrain.add_noise(np.full((64, 64, 3), 0.5), "gaussian", sigma=25)
    >>> clean = degrain.denoise(noisy, "small")

All that is here is imported when it is used first; `import degrain` alone loads neither PyTorch nor NumPy.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from degrain.api.baselines import denoise_baseline, list_baselines, tune_baseline
    from degrain.api.denoising import ImageDenoiser, denoise, list_models, load
    from degrain.api.metrics import list_metrics, score
    from degrain.api.networks import list_networks, network, register_network
    from degrain.api.noise import add_noise, list_noise
    from degrain.api.results import compare, read_history, read_ledger, read_ranking, read_scores
    from degrain.api.stores import open_store, prepare
    from degrain.api.training import TrainedTrial, train, train_from_study
    from degrain.errors import (
        DataError,
        DegrainError,
        DownloadError,
        MissingExtra,
        ModelError,
        OutputError,
        ParamsError,
        RegistryError,
        TrainingError,
    )
    from degrain.evaluation.comparing import Comparison
    from degrain.patches.store import PatchStore

from degrain import extras

__version__ = "0.1.0"

extras.install_finder()

__all__ = [
    "Comparison",
    "DataError",
    "DegrainError",
    "DownloadError",
    "ImageDenoiser",
    "MissingExtra",
    "ModelError",
    "OutputError",
    "ParamsError",
    "PatchStore",
    "RegistryError",
    "TrainedTrial",
    "TrainingError",
    "__version__",
    "add_noise",
    "compare",
    "denoise",
    "denoise_baseline",
    "list_baselines",
    "list_metrics",
    "list_models",
    "list_networks",
    "list_noise",
    "load",
    "network",
    "open_store",
    "prepare",
    "read_history",
    "read_ledger",
    "read_ranking",
    "read_scores",
    "register_network",
    "score",
    "train",
    "train_from_study",
    "tune_baseline",
]

# Where each name comes from; a test holds this, `__all__` and the imports above against each other.
_MODULES = {
    "degrain.api.baselines": ("denoise_baseline", "list_baselines", "tune_baseline"),
    "degrain.api.denoising": ("ImageDenoiser", "denoise", "list_models", "load"),
    "degrain.api.metrics": ("list_metrics", "score"),
    "degrain.api.networks": ("list_networks", "network", "register_network"),
    "degrain.api.noise": ("add_noise", "list_noise"),
    "degrain.api.results": ("compare", "read_history", "read_ledger", "read_ranking", "read_scores"),
    "degrain.api.stores": ("open_store", "prepare"),
    "degrain.api.training": ("TrainedTrial", "train", "train_from_study"),
    "degrain.errors": (
        *("DataError", "DegrainError", "DownloadError", "MissingExtra", "ModelError", "OutputError", "ParamsError"),
        *("RegistryError", "TrainingError"),
    ),
    "degrain.evaluation.comparing": ("Comparison",),
    "degrain.patches.store": ("PatchStore",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for first (PEP 562)."""
    if name not in _MODULE_OF:
        # NOTE: with the module, Python names the nearest attribute.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
