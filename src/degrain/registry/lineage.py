"""Where a registered version comes from, told by the registry alone: what trained it, on which bytes, who chose it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from degrain.evaluation import summary
from degrain.registry import journal, loading, origin, tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from degrain.artifacts.registration import Promotion
    from degrain.artifacts.trial import TrialRecord

# By section, what is known under which name.
Lineage = Mapping[str, Mapping[str, str]]


def of(client: MlflowClient, version: ModelVersion) -> Lineage:
    """Gather what the registry knows of a version.

    Raises:
        RegistryError: It cannot be used, see `degrain.registry.loading`, or what it was made of is gone or changed.
    """
    trial = loading.proven(client, version)
    made_of = origin.read(client, version)
    promotions = [entry for entry in journal.read(client, version.name) if entry.version == str(version.version)]
    scores = {name: summary.text(name, value) for name, value in tags.scores(version).items()}
    model = client.get_registered_model(version.name)
    held = [alias for alias, number in model.aliases.items() if str(number) == str(version.version)]
    return {
        "version": {
            "model": f"models:/{version.name}/{version.version}",
            "aliases": ", ".join(sorted(held)) or "none",
            "weights": trial.weights_sha256 or "",
            "scores": ", ".join(f"{name} {value}" for name, value in scores.items()),
        },
        "training": _training(trial),
        "data": {"patch store": trial.data_sha256, **_data(made_of)},
        "sources": _sources(made_of),
        "machine": {**trial.origin.machine, "instructions": trial.place.machine},
        "libraries": {"degrain": trial.origin.degrain, **trial.versions},
        "promotions": {entry.at: _told(entry) for entry in promotions},
    }


def _training(trial: TrialRecord) -> dict[str, str]:
    return {
        "trial": trial.name,
        "key": trial.key,
        "commit": trial.origin.commit,
        "network": f"{trial.model}, code {trial.network_sha256[:12]}",
        "optimizer": _options(trial.optimizer, trial.optimizer_settings),
        "loss": _options(trial.loss, trial.loss_settings),
        "seed": str(trial.seed),
        "epochs": f"{trial.epochs_done}, weights of epoch {trial.epoch}",
        "noise": _listed(trial.noise.model_dump(mode="json")),
        "settings": _listed(trial.training),
    }


def _listed(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None)


def _options(title: str, settings: Mapping[str, object]) -> str:
    told = ", ".join(f"{name} {value}" for name, value in settings.items() if name not in ("name", "label"))
    return f"{title} ({told})" if told else title


def _data(made_of: Mapping[str, bytes]) -> dict[str, str]:
    """What the study's own params.yaml and dvc.lock say, which need not be those that were committed."""
    data = origin.section(made_of, origin.PARAMS).get("data")
    told = {"data set": str(data.get("dataset", ""))} if isinstance(data, dict) else {}
    outputs = origin.dvc_outputs(made_of)
    return told | {f"{path} (DVC)": digest for path, digest in outputs.items() if path.startswith("data/")}


def _sources(made_of: Mapping[str, bytes]) -> dict[str, str]:
    """Where the images came from, and whose they are."""
    told = dict(origin.section(made_of, origin.SOURCES))
    named = told.pop("credits", [])
    found = {name: str(value) for name, value in told.items() if value}
    for number, one in enumerate(named if isinstance(named, list) else [], 1):
        found[f"credit {number}"] = ", ".join(str(value) for value in one.values() if value)
    return found


def _told(entry: Promotion) -> str:
    before = f" from version {entry.before}" if entry.before else ""
    return f"took over{before}, by {entry.who} (nobody has checked who): {entry.reason}"
