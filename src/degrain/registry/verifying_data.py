"""Whether DVC's cache and remote, and git, hold what a project and its registered versions name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from degrain import console, files
from degrain.errors import DataError
from degrain.programs.commands import cache_folder, default_remote, dvc, git
from degrain.registry import origin, tags
from degrain.registry.checks import Check, Finding
from degrain.registry.registered import Code

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

LOCK, GRAPH = "dvc.lock", "dvc.yaml"
# Seconds that a DVC remote has to say what it holds.
ANSWER_TIME = 120.0


@dataclass(frozen=True)
class Output:
    """What a stage has left.

    Attributes:
        stage: Its name.
        path: In the project.
        md5: Of its bytes, with `.dir` behind it where it is a folder.
    """

    stage: str
    path: str
    md5: str


def cached(project: Path) -> Iterator[Check]:
    """Check that the cache holds every object of dvc.lock, and with the bytes that its name says."""
    claim = "the DVC cache has the objects of dvc.lock, unchanged"
    if not (project / LOCK).exists():
        yield Check(claim, skipped=f"there is no {LOCK}; run: dvc repro")
        return
    cache = cache_folder(project)
    uncached = _uncached(_read(project / GRAPH))
    outputs = [one for one in _outputs(_read(project / LOCK)) if one.path not in uncached]
    objects = [(output, name) for output in outputs for name in _objects(cache, output.md5)]
    missing: dict[Output, int] = {}
    changed: dict[Output, Path] = {}
    with console.progress("DVC cache", len(objects)) as advance:
        for output, name in objects:
            path = _path(cache, name)
            if not path.is_file():
                missing[output] = missing.get(output, 0) + 1
            elif _md5(path) != name.removesuffix(".dir"):
                changed[output] = path
            advance()
    findings = [
        Finding(f"{count} objects of {one.path} are missing in the DVC cache", f"dvc pull, or {_again(one)}")
        for one, count in missing.items()
    ]
    findings += [
        Finding(f"{path} in the DVC cache, of {one.path}, was changed", f"remove it; dvc pull, or {_again(one)}")
        for one, path in changed.items()
    ]
    yield Check(claim, len(objects), tuple(findings))


def _again(output: Output) -> str:
    return f"make it again: dvc repro -f -s {output.stage}"


def champion_data(project: Path, made_of: Mapping[str, bytes], prepared: Path) -> Check:
    """Check that the data of the champion, which need not be that of dvc.lock, can be had without making it again."""
    claim = f"the DVC cache has {prepared} of the champion"
    if origin.LOCK not in made_of:
        return Check(claim, skipped="there is no champion that carries its dvc.lock")
    if not (project / LOCK).exists():
        return Check(claim, skipped=f"there is no {LOCK}; run: dvc repro")
    cache = cache_folder(project)
    wanted = [one for one in _outputs(origin.section(made_of, origin.LOCK)) if one.path == prepared.as_posix()]
    lost = [one for one in wanted if not all(_path(cache, name).is_file() for name in _objects(cache, one.md5))]
    if lost and default_remote(project):
        return Check(claim, skipped="it is not there; the remote may have it: degrain rebuild asks")
    todo = "degrain rebuild makes it again from the published data"
    found = tuple(Finding(f"{one.path} of the champion is not in the DVC cache", todo) for one in lost)
    return Check(claim, len(wanted), found)


def pushed(project: Path) -> Check:
    """Check that the default remote has what dvc.lock names."""
    claim = "the DVC remote has the objects of dvc.lock"
    remote = default_remote(project)
    if not remote:
        return Check(claim, skipped="there is no DVC remote")
    asked = dvc(project, "status", "--cloud", "--json", seconds=ANSWER_TIME)
    if asked.code != 0:
        what = f"the DVC remote {remote} cannot be asked: {asked.reason}"
        return Check(claim, findings=(Finding(what, "dvc status --cloud says more"),))
    found: dict[str, str] = json.loads(asked.output or "{}")
    lacking = sorted(name for name, status in found.items() if status in ("new", "missing"))
    if not lacking:
        return Check(claim, len(_outputs(_read(project / LOCK))))
    some = f"{len(lacking)} objects of {LOCK}, such as {lacking[0]}, are not in the DVC remote {remote}"
    return Check(claim, len(lacking), (Finding(some, "dvc push"),))


def commits(
    project: Path, versions: Sequence[ModelVersion], code: Mapping[str, Code], champion: ModelVersion | None
) -> Iterator[Check]:
    """Check that git holds the commits of the versions, and a branch of a remote the champion's.

    Args:
        project: The project's folder.
        versions: All of a registered model.
        code: Of each, by its number.
        champion: That one of them, if there is one.
    """
    claim = "git has the commits of registered versions"
    if git(project, "rev-parse", "--git-dir").code != 0:
        yield Check(claim, skipped="this is no git repository")
        return
    found = []
    for version in versions:
        commit, what = code[str(version.version)].commit, tags.what(version)
        if not commit:
            found.append(Finding(f"{what} was trained outside of git", "it cannot be rebuilt: train it from a commit"))
        elif git(project, "cat-file", "-e", f"{commit}^{{commit}}").code != 0:
            found.append(Finding(f"the commit {commit} of {what} is not in this repository", "git fetch"))
    yield Check(claim, len(versions), tuple(found))
    if champion is not None and git(project, "remote").output.strip():
        commit = code[str(champion.version)].commit
        there = git(project, "branch", "--remotes", "--contains", commit).output.strip()
        finding = Finding(f"the commit {commit} of the champion is on no branch of a git remote", "git push")
        yield Check("a git remote has the commit of the champion", 1, () if there else (finding,))


def _read(path: Path) -> Mapping[str, Any]:
    """Read one of DVC's files.

    Raises:
        DataError: It is no YAML.
    """
    try:
        found = yaml.safe_load(files.contents(path))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no valid YAML: {' '.join(str(error).split())[:200]}; git checkout {path}") from None
    return found if isinstance(found, dict) else {}


def _outputs(lock: Mapping[str, Any]) -> list[Output]:
    """What a dvc.lock names; outputs of DVC 2, which lie elsewhere in the cache, have no field `hash`."""
    stages = lock.get("stages") or {}
    return [
        Output(str(name), str(output["path"]), str(output["md5"]))
        for name, stage in stages.items()
        for output in stage.get("outs", ())
        if output.get("hash") == "md5"
    ]


def _uncached(graph: Mapping[str, Any]) -> set[str]:
    """Paths of outputs that git keeps, or nobody: those with `cache: false`."""
    kept = set()
    for stage in (graph.get("stages") or {}).values():
        for kind in ("outs", "metrics", "plots"):
            for output in stage.get(kind, ()):
                if isinstance(output, dict):
                    kept |= {path for path, options in output.items() if (options or {}).get("cache") is False}
    return kept


def _objects(cache: Path, md5: str) -> list[str]:
    """The objects of an output: itself and, of a folder that can be read, its files."""
    if not md5.endswith(".dir"):
        return [md5]
    try:
        listed = files.parse_json(files.contents(_path(cache, md5)))
        return [md5, *(str(one["md5"]) for one in listed)]
    except (OSError, ValueError, TypeError, KeyError):
        return [md5]


def _path(cache: Path, md5: str) -> Path:
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _md5(path: Path) -> str:
    with files.opened(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
