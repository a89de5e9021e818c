"""What a registered version carries of what made it, as a folder of its run: enough to train it again.

params.yaml          of the study, which need not be the committed one
dvc.lock             the digests of the data; the same holds of it
sources.json         where the images came from, and under which licences
requirements.txt     every Python package that was installed
commit.txt           the commit that registered it, with `-dirty` behind it if anything had changed
uncommitted.diff     what the files that git knows had beyond the commit, if anything, when it was registered
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import yaml

from degrain import files
from degrain.artifacts.source import Source
from degrain.errors import ParamsError, RegistryError
from degrain.machine import description
from degrain.params.study import Params, parsed
from degrain.registry import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

PARAMS, LOCK, SOURCES = "params.yaml", "dvc.lock", "sources.json"
REQUIREMENTS, COMMIT, DIFF = "requirements.txt", "commit.txt", "uncommitted.diff"


def of_study(params: Params, file: Path, lock: Path, source: Source) -> dict[str, bytes]:
    """Gather what made a model: contents by file name; a file that is not there is left out.

    Args:
        params: The study.
        file: Its params.yaml.
        lock: The project's dvc.lock.
        source: Of the data set.
    """
    gathered = {SOURCES: _sources(source), REQUIREMENTS: _installed(), DIFF: description.git_diff()}
    gathered[COMMIT] = f"{description.git_commit()}\n".encode()
    gathered[PARAMS] = _asked(params, file)
    gathered[LOCK] = files.contents(lock) if lock.is_file() else b""
    return {name: content for name, content in sorted(gathered.items()) if content}


def read(client: MlflowClient, version: ModelVersion) -> dict[str, bytes]:
    """Fetch what a registered version carries: contents by file name.

    Raises:
        UnreadableTag: The version does not say what it carries.
        RegistryError: It is gone, or is not what was registered.
    """
    from mlflow.exceptions import MlflowException

    what = tags.what(version)
    wanted = tags.origin(version)
    with TemporaryDirectory(prefix="degrain-") as temporary:
        try:
            place = Path(client.download_artifacts(str(version.run_id), folder(wanted), temporary))
        except (OSError, MlflowException) as error:
            raise RegistryError(f"what {what} was made of cannot be read: {' '.join(str(error).split())}") from None
        found = {path.relative_to(place).as_posix(): path.read_bytes() for path in files.tree(place)}
    if files.contents_digest(found) != wanted:
        raise RegistryError(f"what {what} was made of is other in the registry than when it was registered")
    return found


def folder(digest: str) -> str:
    """Return where a run keeps the files of a digest; a run may have several versions."""
    return f"origin/{digest[:16]}"


def section(origin: Mapping[str, bytes], name: str) -> Mapping[str, object]:
    """Return what a YAML or JSON file holds; one that is not there is empty."""
    found = yaml.safe_load(origin.get(name, b""))
    return found if isinstance(found, dict) else {}


def dvc_outputs(made_of: Mapping[str, bytes]) -> Mapping[str, str]:
    """Return what DVC has the outputs of stages under, by their paths."""
    return _outputs(made_of.get(LOCK, b""))


@lru_cache(maxsize=1)
def _outputs(lock: bytes) -> Mapping[str, str]:
    # NOTE: reading a lock takes 0.3 s, and it is asked for each side of each trial's data.
    stages = section({LOCK: lock}, LOCK).get("stages")
    found: dict[str, str] = {}
    for stage in stages.values() if isinstance(stages, dict) else ():
        outputs = stage.get("outs") if isinstance(stage, dict) else None
        for output in outputs if isinstance(outputs, list) else ():
            if isinstance(output, dict):
                found[str(output.get("path"))] = str(output.get("md5"))
    return found


def _asked(params: Params, file: Path) -> bytes:
    """The file's bytes if they still say what was asked for, comments and all; otherwise every parameter."""
    with suppress(OSError, ParamsError):
        content = files.contents(file)
        if parsed(content, str(file)) == params:
            return content
    return yaml.safe_dump(params.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True).encode()


def _sources(source: Source) -> bytes:
    """Title, address, citation and licences; whose each file is, without a line for each of a million."""
    told = source.model_dump(mode="json", include={"title", "origin", "licence", "citation"})
    credited = sorted({(file.credit, file.licence) for file in source.files if file.credit or file.licence})
    told |= {
        "dataset": source.asked.dataset,
        "files_sha256": source.files_sha256,
        "credits": [{"credit": credit, "licence": licence} for credit, licence in credited],
    }
    return f"{json.dumps(told, indent=2, ensure_ascii=False)}\n".encode()


def _installed() -> bytes:
    """Every installed distribution with its version, as pip takes it."""
    found = {(one.metadata["Name"], one.version) for one in importlib.metadata.distributions()}
    return "".join(f"{name}=={version}\n" for name, version in sorted(found, key=lambda one: one[0].lower())).encode()
