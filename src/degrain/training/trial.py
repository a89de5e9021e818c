"""One cell of the grid: everything that decides what it learns, and the key under which it is remembered."""

from __future__ import annotations

import importlib.metadata
import itertools
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import degrain
from degrain import files
from degrain.errors import ParamsError
from degrain.images.store import PatchStore
from degrain.models import catalog
from degrain.params import LossParams, OptimizerParams, TrainParams
from degrain.training import losses, optimizers

# The parameters of the section `train` that decide what every trial learns; the rest say how it is run.
DECISIVE = (
    "epochs",
    "patches_per_epoch",
    "batch_size",
    "accumulate",
    "clip_norm",
    "schedule",
    "step_epochs",
    "step_factor",
    "warmup_steps",
    "ema",
    "keep",
    "patience",
    "augment",
    "mix",
    "mix_probability",
    "deterministic",
    "threads",
)


@dataclass(frozen=True)
class Place:
    """What of the place where a trial is computed decides its bits.

    Attributes:
        device: "cpu" or "cuda".
        precision: "float32" or "bfloat16".
        world: Processes that train it together.
    """

    device: str
    precision: str = "float32"
    world: int = 1


@dataclass(frozen=True)
class Trial:
    """One network, optimizer, loss and seed, with the settings that all trials of a study share."""

    model: str
    optimizer: OptimizerParams
    loss: LossParams
    seed: int
    params: TrainParams

    @property
    def name(self) -> str:
        """`unet-adam-mse`, with the seed behind it where a study has several."""
        seed = f"-seed{self.seed}" if len(self.params.seeds) > 1 else ""
        return f"{self.model}-{self.optimizer.title}-{self.loss.title}{seed}"

    def describe(self, store: PatchStore) -> dict[str, Any]:
        """Return what decides the result, ready for JSON, and the names that tables use."""
        decisive = set(DECISIVE)
        if self.params.schedule != "step":
            decisive -= {"step_epochs", "step_factor"}
        if self.params.mix == "none":
            decisive.remove("mix_probability")
        return {
            "name": self.name,
            "model": self.model,
            "optimizer": self.optimizer.title,
            "optimizer_settings": {"name": self.optimizer.name, **optimizers.settings(self.optimizer)},
            "loss": self.loss.title,
            "loss_settings": losses.settings(self.loss),
            "seed": self.seed,
            **self.params.model_dump(include=decisive),
            "channels": store.channels,
            "patch_size": store.patch_size,
            "noise": store.noise.model_dump(mode="json", exclude_none=True),
            "data_sha256": store.sha256,
        }

    def key(self, store: PatchStore, place: Place) -> str:
        """Return the hash of the trial's settings and data, of where it is computed and of the code that trains it."""
        described = self.describe(store)
        for title in ("name", "optimizer", "loss"):
            del described[title]
        if place.device != "cpu":
            del described["threads"]
        versions = {name: importlib.metadata.version(name) for name in ("torch", "numpy", "albumentations")}
        network = catalog.spec(self.model)
        described |= {
            "network": network.maker,
            "network_options": dict(network.options),
            "code": code_digest(self.model),
        }
        described |= asdict(place) | versions
        return files.digest(described)[:20]


# Modules that several networks are made of; what the catalog says of a network is in the key itself.
SHARED = ("convolutions", "keras_layers")


def code_digest(model: str) -> str:
    """Return the hash of every source file that decides what a trial of this model learns."""
    package = Path(degrain.__file__).parent
    sources = [
        *sorted((package / "training").glob("*.py")),
        *sorted((package / "noise").glob("*.py")),
        *(package / "models" / f"{name}.py" for name in (*catalog.spec(model).modules, *SHARED)),
        package / "params" / "noise.py",
        package / "evaluation" / "metrics.py",
        package / "depth.py",
        package / "images" / "store.py",
        package / "inference" / "denoiser.py",
        package / "randomness.py",
    ]
    return files.digest({path.relative_to(package).as_posix(): files.sha256(path) for path in sources})


def expand(params: TrainParams, model: str) -> list[Trial]:
    """Return all trials of one model: pairs of an optimizer and a loss x seeds.

    Raises:
        ParamsError: The study does not have that model.
    """
    if model not in params.models:
        raise ParamsError(f"{model!r} is not in train.models of this study: {', '.join(params.models)}")
    cells = itertools.product(params.cells, params.seeds)
    return [Trial(model, optimizer, loss, seed, params) for (optimizer, loss), seed in cells]
