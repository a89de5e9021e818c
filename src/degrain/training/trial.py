"""One cell of the grid: everything that decides what it learns, and the key under which it is remembered."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from degrain import files
from degrain.artifacts.trial import Place, TrialSettings
from degrain.declaration import deciding
from degrain.errors import ParamsError, nearest
from degrain.losses.base import Loss
from degrain.networks import catalog, identity
from degrain.noise.base import Noise
from degrain.optimizers.base import Optimizer
from degrain.params.train import TrainParams
from degrain.patches.store import PatchStore
from degrain.provenance import digests
from degrain.provenance.closure import CATALOGS, Closure, closure
from degrain.training import first_weights

# What trains a trial and writes down what came of it.
WORK = "degrain.trials.work"


@dataclass(frozen=True)
class Trial:
    """One network, optimizer, loss and seed, with the settings that all trials of a study share."""

    model: str
    optimizer: Optimizer
    loss: Loss
    seed: int
    params: TrainParams

    @property
    def name(self) -> str:
        """`unet-adam-mse`, with the seed behind it where a study has several."""
        seed = f"-seed{self.seed}" if len(self.params.seeds) > 1 else ""
        return f"{self.model}-{self.optimizer.title}-{self.loss.title}{seed}"

    def settings(self, store: PatchStore) -> TrialSettings:
        """Return what decides the result on this data, and the names that tables use.

        Raises:
            ParamsError: It is to begin with a model that does not ship.
        """
        decisive = deciding(TrainParams)
        if self.params.schedule != "step":
            decisive -= {"step_epochs", "step_factor"}
        decisive -= {name for name in ("start", "exposure") if not getattr(self.params, name)}
        if self.params.mix == "none":
            decisive.remove("mix_probability")
        training = self.params.model_dump(mode="json", include=decisive)
        if self.params.start:
            training["start_sha256"] = first_weights.record(self.params.start).weights_sha256
        return TrialSettings(
            name=self.name,
            model=self.model,
            optimizer=self.optimizer.title,
            optimizer_settings=self.optimizer.settings(),
            loss=self.loss.title,
            loss_settings=self.loss.settings(),
            seed=self.seed,
            training=training,
            channels=store.channels,
            bits=store.bits,
            light=store.record.light,
            patch_size=store.patch_size,
            noise=store.noise,
            data_sha256=store.sha256,
        )

    def key(self, store: PatchStore, place: Place, versions: Mapping[str, str] | None = None) -> str:
        """Return the hash of the trial's settings and data, of where it is computed, and of the code that does it.

        Args:
            store: The data.
            place: Where it is computed.
            versions: Of the libraries that the code imports; those that are installed here if absent.
        """
        described = self.settings(store).model_dump(mode="json", exclude={"name", "optimizer", "loss"})
        if place.device != "cpu":
            del described["training"]["threads"]
        decided_by = self.code(store.noise)
        described |= {
            "network": identity.facts(catalog.spec(self.model)),
            "code": digests.code(decided_by),
            "versions": digests.versions(decided_by) if versions is None else dict(versions),
            "place": place.model_dump(),
        }
        return files.digest(described)[:20]

    def code(self, noise: Noise) -> Closure:
        """Return the code that decides what the trial learns and leaves: what trains any, and what this one names.

        Catalogs are left out, since all that they say of what the trial names is in the key itself.

        Args:
            noise: Of the data.
        """
        named = (*catalog.spec(self.model).modules, *self.optimizer.modules, *self.loss.modules, *noise.modules)
        return closure(WORK, *named, without=CATALOGS)


def expand(params: TrainParams, model: str) -> list[Trial]:
    """Return all trials of one model: pairs of an optimizer and a loss x seeds.

    Raises:
        ParamsError: The study does not have that model.
    """
    if model not in params.models:
        raise ParamsError(f"{model!r} is not in train.models of this study: {', '.join(params.models)}")
    cells = itertools.product(params.cells, params.seeds)
    return [Trial(model, optimizer, loss, seed, params) for (optimizer, loss), seed in cells]


def chosen(trials: list[Trial], name: str) -> list[Trial]:
    """Return the trial of that name alone, or all trials if the name is empty.

    Raises:
        ParamsError: None has it; the message has the nearest.
    """
    found = [trial for trial in trials if name in ("", trial.name)]
    if not found:
        raise ParamsError(f"--trial: no trial {name!r} in this study{nearest(name, [trial.name for trial in trials])}")
    return found
