"""Whether registry, journal, runs, ledger, DVC and git still say the same; nothing is changed.

Each check is a function that returns what it looked at and what does not hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from degrain import console, files
from degrain.artifacts.registration import Promotion, Registration
from degrain.artifacts.trial import TRIAL, TrialRecord
from degrain.errors import DataError, RegistryError, Unseen, VersionMismatch
from degrain.machine import variables
from degrain.registry import aliases, journal, loading, origin, registered, runs, tags, tracking, turns, verifying_data
from degrain.registry.aliases import CHAMPION, PREVIOUS
from degrain.registry.checks import Check, Finding
from degrain.trials.ledger import Ledger

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run
    from mlflow.entities.model_registry import ModelVersion

# What to do about files that are lost or changed, and about runs that are gone.
BACK = "restore it from a backup, bring MLflow's artifact store back if it is away"
ANEW = "dvc repro -f -s register publishes it again"


@dataclass(frozen=True)
class Left:
    """What the project's own study has left, by path in the project.

    Attributes:
        prepared: The patch store.
        registration: The record of the last registration.
        promotions: The copy of the journal.
    """

    prepared: Path
    registration: Path
    promotions: Path


def verify(name: str, project: Path, left: Left | None) -> list[Check]:
    """Hold everything that is known of a registered model against each other.

    Args:
        name: Of the registered model.
        project: The project's folder.
        left: What its study has left; None where the model is that of another study.

    Raises:
        RegistryError: There is no registry, it does not answer, or it has no such model.
        DataError: dvc.lock or dvc.yaml cannot be read.
        OutputError: git or DVC does not work here.
    """
    store = variables.sqlite_file(variables.tracking_uri())
    if store and not store.exists():
        raise RegistryError(f"there is no registry, {store} is missing; run: make repro")
    with tracking.connect() as client:
        _require_model(client, name)
        versions = sorted(client.search_model_versions(f"name = '{name}'"), key=lambda one: int(one.version))
        champion = aliases.current(client, name)
        whole, carried = _origins(client, versions)
        checks = [
            *_of_runs(client, name, versions, champion, left.registration if left else None),
            whole,
            *_journal(client, name, versions, champion, left.promotions if left else None),
        ]
    checks.append(_ledger(versions))
    checks += verifying_data.cached(project)
    if left:
        made_of = carried.get(str(champion.version), {}) if champion else {}
        checks.append(verifying_data.champion_data(project, made_of, left.prepared))
    checks.append(verifying_data.pushed(project))
    code = {str(one.version): registered.code(one, carried.get(str(one.version), {})) for one in versions}
    return [*checks, *verifying_data.commits(project, versions, code, champion)]


def _require_model(client: MlflowClient, name: str) -> None:
    """Refuse a name that the registry does not have.

    Raises:
        RegistryError: It has none of that name.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise RegistryError(
            f"the registry has no model {name!r}: run make repro, or name another with --name"
        ) from None


def _of_runs(
    client: MlflowClient,
    name: str,
    versions: Sequence[ModelVersion],
    champion: ModelVersion | None,
    registration: Path | None,
) -> Iterator[Check]:
    """Checks that need the runs; where their experiment was deleted, and they with it, that is all there is to say."""
    experiment = client.get_experiment_by_name(name)
    if experiment is not None and experiment.lifecycle_stage != "active":
        todo = f"{tracking.restore_experiment(experiment.experiment_id)}; then verify again"
        yield Check("the experiment is there", 1, (Finding(f"the experiment {name} was deleted, with its runs", todo),))
        return
    yield _versions(client, versions)
    yield _champion(client, champion)
    yield _last_registration(client, name, versions, registration)
    yield _doubled(client, name, experiment, registration)


def _what(version: ModelVersion) -> str:
    return f"version {version.version} of {version.name}"


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


def _versions(client: MlflowClient, versions: Sequence[ModelVersion]) -> Check:
    """Every version has its run, and the files that were registered."""
    found = []
    with console.progress("versions", len(versions)) as advance:
        for version in versions:
            problem = _run_problem(client, str(version.run_id)) or _changed(client, version)
            if problem:
                found.append(Finding(f"{_what(version)}: {problem.what}", problem.todo))
            advance()
    return Check("registered versions have their runs, and the files that were registered", len(versions), tuple(found))


def _changed(client: MlflowClient, version: ModelVersion) -> Finding | None:
    with TemporaryDirectory(prefix="degrain-") as temporary:
        try:
            registered.fetch(client, version, Path(temporary))
        except (RegistryError, DataError) as error:
            return Finding(str(error), f"{BACK}, or delete the version, and {ANEW}")
    return None


def _origins(client: MlflowClient, versions: Sequence[ModelVersion]) -> tuple[Check, dict[str, dict[str, bytes]]]:
    """Every version carries what made it, unchanged; with that, by the version's number."""
    found, carried = [], {}
    for version in versions:
        try:
            carried[str(version.version)] = origin.read(client, version)
        except RegistryError as error:
            todo = "it cannot be rebuilt: restore its run's folder origin, or delete the version and register it anew"
            found.append(Finding(str(error), todo))
    return Check("registered versions carry what made them, unchanged", len(versions), tuple(found)), carried


def _champion(client: MlflowClient, champion: ModelVersion | None) -> Check:
    """The champion can be used by the present code."""
    name = "the champion can be used by this code"
    if champion is None:
        return Check(name, skipped="there is none")
    try:
        lost = loading.loss(client, champion)
    except Unseen as error:
        return Check(name, 1, (Finding(str(error)),))
    return Check(name, 1, (Finding(str(lost), "degrain rollback, or promote another version"),) if lost else ())


def _journal(
    client: MlflowClient,
    name: str,
    versions: Sequence[ModelVersion],
    champion: ModelVersion | None,
    copy: Path | None,
) -> Iterator[Check]:
    """The aliases are where the journal says, and its weights are those of the versions."""
    agrees = "aliases are where the journal of promotions says"
    try:
        entries = journal.read(client, name)
    except RegistryError as error:
        yield Check(agrees, findings=(Finding(str(error)),))
        return
    begun = sum(tag.startswith(journal.PREFIX) for tag in client.get_registered_model(name).tags)
    findings = list(_moved(client, name, entries, champion))
    if begun > len(entries):
        findings.append(Finding(f"a promotion of {name} was broken off", "repeat it: degrain register, or promote"))
    yield Check(agrees, len(entries), tuple(findings))
    weights = {str(version.version): version.tags.get(tags.WEIGHTS) for version in versions}
    others = [entry for entry in entries if weights.get(entry.version, entry.weights_sha256) != entry.weights_sha256]
    yield Check(
        "the journal names the weights of the versions",
        len(entries),
        tuple(_other_weights(entry) for entry in others),
    )
    if copy is not None and copy.exists():
        yield Check(f"{copy} is a copy of the journal", len(entries), tuple(_uncopied(name, entries, copy, champion)))


def _uncopied(name: str, entries: Sequence[Promotion], copy: Path, champion: ModelVersion | None) -> Iterator[Finding]:
    """How the copy of the journal differs from it; what others have promoted since may be missing."""
    lines = copy.read_text(encoding="utf-8", errors="replace").splitlines()
    wanted = [entry.model_dump_json() for entry in entries]
    what = f"{copy} is no copy of the journal of {name}"
    if lines == wanted[: len(lines)]:
        if all(entry.who != turns.who() for entry in entries[len(lines) :]):
            return
        what = f"{copy} has only the first {len(lines)} of {len(wanted)} promotions of {name}"
    by_hand = f"degrain promote {champion.version} --reason ... or " if champion else ""
    yield Finding(what, f"{by_hand}dvc repro -f -s register writes it anew")


def _other_weights(entry: Promotion) -> Finding:
    return Finding(
        f"the journal says of version {entry.version} of {entry.model}, promoted {entry.at}, that its weights are "
        f"{entry.weights_sha256[:12]}, and the version's tag {tags.WEIGHTS} says otherwise",
        "one of the two was changed by hand: set it back",
    )


def _moved(
    client: MlflowClient, name: str, entries: Sequence[Promotion], champion: ModelVersion | None
) -> Iterator[Finding]:
    """Aliases that were moved without a line in the journal."""
    held = aliases.number(champion)
    said = entries[-1].version if entries else None
    if held != said:
        keep = f"; to keep version {held}, take the alias away in MLflow, then degrain promote {held}" if held else ""
        yield Finding(
            f"the alias {CHAMPION} of {name} is at {_at(held)}, and the journal says {_at(said)}",
            f"degrain promote {said} --reason ... sets it back{keep}" if said else keep.removeprefix("; "),
        )
        return
    previous = aliases.number(aliases.current(client, name, PREVIOUS))
    before = entries[-1].before if entries else None
    if previous is not None and previous != before:
        yield Finding(
            f"the alias {PREVIOUS} of {name} is at {_at(previous)}, and the journal says {_at(before)}",
            "set it in MLflow; nothing but people reads it",
        )


def _at(number: str | None) -> str:
    return f"version {number}" if number else "no version"


def _last_registration(client: MlflowClient, name: str, versions: Sequence[ModelVersion], path: Path | None) -> Check:
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


def _doubled(client: MlflowClient, name: str, experiment: Experiment | None, registration: Path | None) -> Check:
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


def _ledger(versions: Sequence[ModelVersion]) -> Check:
    """Entries of the ledger are whole, and have the weights that are registered under their keys."""
    ledger = Ledger()
    known = {str(version.tags.get(tags.KEY)): version for version in versions}
    folders = sorted(path for path in ledger.folder.glob("*") if path.is_dir() and not path.suffix)
    found, older = [], 0
    with console.progress("trials", len(folders)) as advance:
        for folder in folders:
            advance()
            try:
                entry = TrialRecord.read(folder / TRIAL)
            except VersionMismatch:
                older += 1
                continue
            except DataError as error:
                found.append(Finding(str(error), f"remove {folder}; the trial is trained again when it is asked for"))
                continue
            found += _entry_problems(folder, entry, known.get(entry.key))
    told = f", {older} of another version of degrain left out" if older else ""
    return Check(f"ledger entries are whole and agree with registered versions{told}", len(folders), tuple(found))


def _entry_problems(folder: Path, entry: TrialRecord, version: ModelVersion | None) -> Iterator[Finding]:
    again = f"remove {folder}; the trial is trained again when it is asked for"
    if entry.key != folder.name:
        yield Finding(f"the ledger holds trial {entry.key} as {folder.name}", again)
    for name, sha256 in entry.sha256.items():
        if not (folder / name).is_file() or files.sha256(folder / name) != sha256:
            yield Finding(f"{name} of {entry.name} in the ledger ({folder.name}) is missing or was changed", again)
    if version is not None and not tags.has_weights(version, str(entry.weights_sha256)):
        yield Finding(
            f"{entry.name} has other weights in the ledger than {_what(version)}, under the same key {entry.key}",
            f"find out which can be trained again: degrain rebuild models:/{version.name}/{version.version}",
        )
