"""A packaged model, made once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from torch.onnx._internal.exporter._registration import ONNXRegistry

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own
    import mlflow.pyfunc  # noqa: F401

from degrain.packaging import package
from tests.conftest import picture, save
from tests.packaging import packages


@pytest.fixture(scope="session", autouse=True)
def one_registry_of_operators() -> Iterator[None]:
    """Have the exporter make its table of operators once, which takes a second, and not for each export."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        yield


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packaged U-Net for color."""
    folder = tmp_path_factory.mktemp("packaged")
    made = packages.trial(folder / "trial")
    for name in ("a", "b", "c"):
        for kind in ("clean", "noisy", "denoised"):
            save(folder / "photographs" / name / f"{kind}.png", picture(0, 200, 100))
    package.write(folder / "champion", folder / "trial", packages.facts(made), folder / "photographs")
    return folder / "champion"
