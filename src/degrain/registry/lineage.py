"""Where a registered version comes from, told by the registry alone: what trained it, on which bytes, who chose it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import yaml

from degrain.errors import RegistryError
from degrain.evaluation import summary
from degrain.registry import journal, loading, tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from degrain.artifacts.registration import Promotion
    from degrain.artifacts.trial import TrialRecord

# By section, what is known under which name.
Lineage = Mapping[str, Mapping[str, str]]
LOCK, PARAMS = "dvc.lock", "params.yaml"


def of(client: MlflowClient, version: ModelVersion) -> Lineage:
    """Gather what the registry knows of a version.

    Raises:
        RegistryError: It cannot be used, see `degrain.registry.loading`, or its study's files are missing or damaged.
    """
    trial = loading.proven(client, version)
    run = str(version.run_id)
    parent = client.get_run(run).data.tags.get("mlflow.parentRunId", run)
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
        "data": {"patch store": trial.data_sha256, **_files(client, parent)},
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
        "noise": ", ".join(f"{name} {value}" for name, value in trial.noise.model_dump(mode="json").items()),
    }


def _options(title: str, settings: Mapping[str, object]) -> str:
    told = ", ".join(f"{name} {value}" for name, value in settings.items() if name not in ("name", "label"))
    return f"{title} ({told})" if told else title


def _files(client: MlflowClient, run: str) -> dict[str, str]:
    """What the study's own dvc.lock and params.yaml say, which need not be those that were committed."""
    with TemporaryDirectory(prefix="degrain-") as temporary:
        study, lock = (_read(client, run, name, Path(temporary)) for name in (PARAMS, LOCK))
    data = study.get("data")
    told = {"data set": str(data.get("dataset", ""))} if isinstance(data, dict) else {}
    return told | {f"{path} (DVC)": digest for path, digest in _outputs(lock).items() if path.startswith("data/")}


def _outputs(lock: Mapping[str, object]) -> dict[str, str]:
    """The digests of what stages left, by path."""
    stages = lock.get("stages")
    found: dict[str, str] = {}
    for stage in stages.values() if isinstance(stages, dict) else ():
        outputs = stage.get("outs") if isinstance(stage, dict) else None
        for output in outputs if isinstance(outputs, list) else ():
            if isinstance(output, dict):
                found[str(output.get("path"))] = str(output.get("md5"))
    return found


def _read(client: MlflowClient, run: str, name: str, folder: Path) -> Mapping[str, object]:
    """Read a YAML file of a run; one of a study that was registered without it is empty."""
    if name not in {artifact.path for artifact in client.list_artifacts(run)}:
        return {}
    try:
        found = yaml.safe_load(Path(client.download_artifacts(run, name, str(folder))).read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, OSError, RecursionError) as error:
        raise RegistryError(f"the file {name} of run {run} is damaged: {' '.join(str(error).split())[:200]}") from error
    return found if isinstance(found, dict) else {}


def _told(entry: Promotion) -> str:
    before = f" from version {entry.before}" if entry.before else ""
    return f"took over{before}, by {entry.who} (nobody has checked who): {entry.reason}"
