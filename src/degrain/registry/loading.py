"""From what a user calls a model to a folder that holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from degrain.errors import ModelError, RegistryError, nearest
from degrain.registry import promotion, tracking
from degrain.trials.records import TRIAL


@contextmanager
def folder_of(reference: str, trials: Path) -> Iterator[Path]:
    """Find a trained model.

    Args:
        reference: A folder with trial.json and weights.safetensors; the name of a trial of the last study
            (`unet-adam-mse`); or one in the MLflow registry: `models:/NAME@champion`, `models:/NAME/3`.
        trials: Where the last study's trials lie.

    Yields:
        The folder; it may be temporary.

    Raises:
        ModelError: There is no such model; the message has the nearest name.
        RegistryError: The registry does not answer or does not hold it.
    """
    if reference.startswith("models:/"):
        with TemporaryDirectory(prefix="degrain-") as temporary:
            yield download(reference, Path(temporary))
        return
    if Path(reference).is_dir():
        yield Path(reference)
        return
    known = {path.parent.name: path.parent for path in trials.glob(f"*/*/{TRIAL}")}
    if reference not in known:
        raise ModelError(
            f"no model {reference!r}: neither a folder nor a trial of the last study{nearest(reference, known)}"
        )
    yield known[reference]


def download(reference: str, target: Path) -> Path:
    """Fetch a model from the MLflow registry into a folder.

    Raises:
        RegistryError: The registry does not answer, or does not hold it.
    """
    name, _, alias = reference.removeprefix("models:/").partition("@")
    with tracking.connect() as client:
        from mlflow.artifacts import download_artifacts

        if alias == promotion.ALIAS:
            version = promotion.current(client, name)
            if version is None:
                raise RegistryError(
                    f"the registry has no {alias} of {name!r} yet: run make repro, or name a model: --model"
                )
        elif alias:
            version = client.get_model_version_by_alias(name, alias)
        else:
            name, _, number = name.partition("/")
            if not number:
                raise RegistryError(f"{reference!r}: write models:/NAME@ALIAS or models:/NAME/VERSION")
            version = client.get_model_version(name, number)
        return Path(download_artifacts(artifact_uri=version.source, dst_path=str(target)))
