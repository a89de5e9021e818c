"""Whether the runs of registered versions and of the last registration are there, each once, with their files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from degrain import console
from degrain.artifacts.registration import Registration
from degrain.errors import DataError, RegistryError, Unseen
from degrain.registry import loading, origin, registered, runs, tags, tracking
from degrain.registry.checks import Check, Finding

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run
    from mlflow.entities.model_registry import ModelVersion

# What to do about files that are lost or changed, and about runs that are gone.
BACK = "restore it from a backup, bring MLflow's artifact store back if it is away"
ANEW = "dvc repro -f -s register publishes it again"


def of_versions(client: MlflowClient, versions: Sequence[ModelVersion]) -> Check:
    """Every version has its run, and the files that were registered."""
    found = []
    with console.progress("versions", len(versions)) as advance:
        for version in versions:
            problem = _run_problem(client, str(version.run_id)) or _changed(client, version)
            if problem:
                found.append(Finding(f"{tags.what(version)}: {problem.what}", problem.todo))
            advance()
    return Check("registered versions have their runs, and the files that were registered", len(versions), tuple(found))


def origins(client: MlflowClient, versions: Sequence[ModelVersion]) -> tuple[Check, dict[str, dict[str, bytes]]]:
    """Every version carries what made it, unchanged; with that, by the version's number."""
    found, carried = [], {}
    for version in versions:
        try:
            carried[str(version.version)] = origin.read(client, version)
        except RegistryError as error:
            todo = "it cannot be rebuilt: restore its run's folder origin, or delete the version and register it anew"
            found.append(Finding(str(error), todo))
    return Check("registered versions carry what made them, unchanged", len(versions), tuple(found)), carried


def champion(client: MlflowClient, champion: ModelVersion | None) -> Check:
    """The champion can be used by the present code."""
    name = "the champion can be used by this code"
    if champion is None:
        return Check(name, skipped="there is none")
    try:
        lost = loading.loss(client, champion)
    except Unseen as error:
        return Check(name, 1, (Finding(str(error)),))
    return Check(name, 1, (Finding(str(lost), "degrain rollback, or promote another version"),) if lost else ())


def last_registration(client: MlflowClient, name: str, versions: Sequence[ModelVersion], path: Path | None) -> Check:
    """The runs and the version of the last registration are there."""
    claim = "runs and version of the last registration are there"
    if path is None or not path.exists():
        return Check(claim, skipped=f"{path} is missing" if path else "the results here are of another study")
    try:
        made = Registration.read(path)
    except DataError as error:
        return Check(claim, findings=(Finding(str(error)),))
    if made.model != name:
        return Check(claim, skipped=f"it was one of {made.model}")
    found = []
    for trial, run in {"the study": made.parent_run, **made.runs}.items():
        if problem := _run_problem(client, run):
            found.append(Finding(f"{trial}: {problem.what}", problem.todo))
    version = next((one for one in versions if str(one.version) == made.version), None)
    if version is None or not tags.has_weights(version, made.weights_sha256):
        found.append(Finding(f"version {made.version} of {name} is gone, or has other weights than {path} says", ANEW))
    return Check(claim, len(made.runs) + 2, tuple(found))


def doubled(client: MlflowClient, name: str, experiment: Experiment | None, registration: Path | None) -> Check:
    """No key has several active runs, as after a run was deleted, published again and restored."""
    claim = "no trial has two runs"
    if experiment is None:
        return Check(claim, skipped=f"there is no experiment {name}")
    by_key: dict[str, list[Run]] = {}
    for run in _all_runs(client, experiment.experiment_id):
        by_key.setdefault(run.data.tags.get(tags.KEY) or run.info.run_id, []).append(run)
    named = _named(registration)
    several = [several for several in by_key.values() if len(several) > 1]
    found = tuple(_kept_one(client, runs.in_order(client, experiment.experiment_id, some), named) for some in several)
    return Check(claim, len(by_key), found)


def _run_problem(client: MlflowClient, run: str) -> Finding | None:
    """What is wrong with a run."""
    from mlflow.exceptions import MlflowException

    try:
        info = client.get_run(run).info
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return Finding(f"run {run} is gone", ANEW)
    if info.lifecycle_stage != "active":
        return Finding(
            f"run {run} was deleted", f"restore it: {tracking.ON_THE_SERVER} mlflow runs restore --run-id {run}"
        )
    if info.status != "FINISHED":
        return Finding(f"run {run} is {info.status}, not finished", ANEW)
    return None


def _changed(client: MlflowClient, version: ModelVersion) -> Finding | None:
    with TemporaryDirectory(prefix="degrain-") as temporary:
        try:
            registered.fetch(client, version, Path(temporary))
        except (RegistryError, DataError) as error:
            return Finding(str(error), f"{BACK}, or delete the version, and {ANEW}")
    return None


def _all_runs(client: MlflowClient, experiment: str) -> Iterator[Run]:
    page = client.search_runs([experiment])
    yield from page
    while page.token:
        page = client.search_runs([experiment], page_token=page.token)
        yield from page


def _named(registration: Path | None) -> set[str]:
    """The runs of the last registration."""
    if registration is None:
        return set()
    with suppress(DataError):
        made = Registration.read(registration)
        return {made.parent_run, *made.runs.values()}
    return set()


def _kept_one(client: MlflowClient, several: Sequence[Run], named: Collection[str]) -> Finding:
    """Say which of several runs of a key are to be deleted: those that no version, nor the last registration, names."""
    ids = [str(run.info.run_id) for run in several]
    used = [run for run in ids if runs.is_registered(client, run)]
    kept = used or [run for run in ids if run in named][:1] or ids[:1]
    what = f"{several[0].info.run_name} has {len(ids)} active runs: {', '.join(ids)}"
    delete = [f"{tracking.ON_THE_SERVER} mlflow runs delete --run-id {run}" for run in ids if run not in kept]
    todo = f"keep {', '.join(kept)}" + (", to which a version refers" if used else "")
    return Finding(what, f"{todo}: {' && '.join(delete)}" if delete else "delete the versions of all but one first")
