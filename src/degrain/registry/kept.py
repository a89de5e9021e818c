"""The champions that this project has used, kept so that the next start needs no MLflow and no download.

Who the champion is by now is asked every time, see `degrain.registry.lookup`. What is kept is only its package, under
the SHA-256 of its weights, and it is checked against the version's tags before each use. Nothing that is found out
without MLflow counts until MLflow has said the same once, of the same version of its tables. Where anything does not
fit, MLflow is asked, as if nothing were kept. A server that cannot be reached is the one exception: its last
known champion is taken, with a warning.
"""

from __future__ import annotations

import datetime
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from degrain import files
from degrain.artifacts.kept_champion import KeptChampion
from degrain.errors import DataError, NoChampion, OutputError, RegistryError, Unreachable
from degrain.machine import variables
from degrain.registry import aliases, loading, lookup, tags, tracking
from degrain.registry.lookup import Holder

log = logging.getLogger(__name__)

# By these a package is checked.
_CHECKED = (tags.WEIGHTS, tags.KEY, tags.PACKAGE)
# Seconds after which a package that is no champion's is removed: somebody may be loading it.
_LEFT_ALONE = 3600


def folder() -> Path:
    """Return the folder of kept champions: a package under the SHA-256 of its weights, and a record of each model."""
    return variables.home() / "champions"


@contextmanager
def champion(name: str) -> Iterator[Path]:
    """Find the champion of a registered model.

    Args:
        name: Of the registered model.

    Yields:
        The folder of its package; it may be temporary.

    Raises:
        NoChampion: It has none.
        RegistryError: The registry does not answer and nothing is kept, or it does not hold what is asked for.
        OutputError: The folder of a SQLite file cannot be written.
    """
    uri = variables.tracking_uri()
    file = variables.sqlite_file(uri)
    if file and not file.exists():  # NOTE: MLflow would make it first, which takes seconds
        raise NoChampion(f"the registry has no {aliases.CHAMPION} of {name!r} yet: {aliases.HOW_TO_REGISTER}")
    if found := _without_mlflow(name, uri):
        yield found
        return
    with TemporaryDirectory(prefix="degrain-") as temporary:
        yield _by_mlflow(name, uri, Path(temporary))


def _without_mlflow(name: str, uri: str) -> Path | None:
    """Return the kept package of the present champion; None where it is not kept, or only MLflow can tell."""
    try:
        record = KeptChampion.read(_record(name, uri))
    except (DataError, OSError):
        return None
    if (record.model, record.tracking_uri) != (name, uri):
        return None
    try:
        holder = lookup.champion(name, uri)
    except Unreachable as error:
        found = _intact(Holder(name, record.version, record.tags, record.tables))
        if found:
            log.warning("%s; version %s of %s is taken, the champion of %s", error, record.version, name, record.seen)
        return found
    if holder is None or holder.tables != record.tables:
        return None
    found = _intact(holder)
    if found and holder.tables == lookup.SERVER:
        _note(holder, uri)
    return found


def _by_mlflow(name: str, uri: str, temporary: Path) -> Path:
    """Return the champion's package as MLflow has it, and keep it."""
    with tracking.connect() as client:
        version = loading.version(client, f"models:/{name}@{aliases.CHAMPION}")
        found = _intact(version) or loading.fetch(version, temporary)
    _keep(found, version, uri)
    return found


def _intact(version: tags.Tagged) -> Path | None:
    """Return the kept package of a version; None where there is none, or none that is what was registered."""
    try:
        found = folder() / tags.weights(version)
        if not files.is_folder(found):
            return None
        loading.check(found, version)
    except (RegistryError, OSError):
        return None
    return found


def _keep(found: Path, version: tags.Tagged, uri: str) -> None:
    """Keep a champion's package, and how to ask for it the next time; remove older ones."""
    try:
        with tracking.alone(folder() / "lock"):
            if _intact(version) is None:
                with files.new_folder(folder() / tags.weights(version)) as partial:
                    shutil.copytree(found, partial, dirs_exist_ok=True)
            _note(_as_asked_without_mlflow(version, uri), uri)
            _clean_up()
    except (OutputError, OSError) as error:
        log.warning("version %s of %s is not kept for the next start: %s", version.version, version.name, error)


def _as_asked_without_mlflow(version: tags.Tagged, uri: str) -> Holder:
    """Return the champion as the store itself says it; where that differs, as what no store will say."""
    with suppress(Unreachable):
        holder = lookup.champion(version.name, uri)
        if holder and (holder.version, holder.tags) == (str(version.version), version.tags):
            return holder
    return Holder(version.name, str(version.version), version.tags, tables="")


def _note(holder: Holder, uri: str) -> None:
    """Write down that a version is the champion now; that a folder cannot be written does not matter."""
    with suppress(OutputError):
        KeptChampion(
            schema_version=KeptChampion.VERSION,
            model=holder.name,
            tracking_uri=uri,
            version=holder.version,
            tags={name: holder.tags[name] for name in _CHECKED},
            tables=holder.tables,
            seen=datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        ).write(_record(holder.name, uri))


def _record(name: str, uri: str) -> Path:
    return folder() / f"{files.digest([name, uri])[:16]}.json"


def _clean_up() -> None:
    """Remove the packages that no record names."""
    named = set()
    for path in folder().glob("*.json"):
        with suppress(DataError, OSError):
            named.add(KeptChampion.read(path).tags[tags.WEIGHTS])
    for package in folder().iterdir():
        if package.is_dir() and package.name not in named and time.time() - package.stat().st_mtime > _LEFT_ALONE:
            shutil.rmtree(package, ignore_errors=True)
