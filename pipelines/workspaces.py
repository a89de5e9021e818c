"""A workspace for each run: a git worktree that shares the project's DVC cache, trial ledger and registry.

    .degrain/workspaces/NAME         the worktree
    .degrain/workspaces/NAME.lock    held as long as the run lives, however it ends

So two studies that run at once do not meet, and what a person is editing is not touched. What comes out
goes back by pipelines/publishing.py.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from degrain.errors import OutputError, ParamsError, nearest
from degrain.machine import variables
from degrain.programs.worktrees import SWEEPING, held, remove
from pipelines.git import ORIGIN, at_origin, git, has_origin, worktrees
from pipelines.processes import Children, Log, dvc

FOLDER = Path(".degrain") / "workspaces"
# What DVC remembers of hashes and links in a workspace; git ignores it. By itself DVC has a folder in /var/tmp for each
# place that it has ever run in, and removes none.
SITE_CACHE = Path(".dvc") / "tmp" / "site-cache"
# Where git keeps what is on its way to workers; branches and tags are other folders, so nobody sees it by chance.
SENT = "refs/degrain/runs"
# What Hydra says of a parameter that it does not know.
_UNKNOWN = re.compile(r"Could not override '([^']*)'")
# Locks of all runs together; no run has such a name.
SAVING = ".saving.lock"


@dataclass(frozen=True)
class Workspace:
    """Where a run works.

    Attributes:
        project: The project that it belongs to.
        folder: Where its stages run; the project itself where it has no worktree.
    """

    project: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the stages: they run the workspace's code, and keep what outlives it in the project."""
        return {
            "PYTHONPATH": os.pathsep.join(map(str, (self.folder / "src", self.folder))),
            "DEGRAIN_PROJECT": str(self.project),
            "DEGRAIN_HOME": str(self.home),
        }

    @property
    def home(self) -> Path:
        """What outlives single runs: trial ledger and registry."""
        return (self.project / (os.environ.get("DEGRAIN_HOME") or ".degrain")).absolute()


@contextmanager
def opened(project: Path, name: str, log: Log, commit: str = "HEAD") -> Iterator[Workspace]:
    """Make a worktree of a commit of the project, and remove it at the end.

    Args:
        project: The project's folder, with dvc.yaml.
        name: Of the run.
        log: Called with what a person should know.
        commit: The present one if not given.

    Raises:
        OutputError: It cannot be made.
    """
    base = project.resolve() / FOLDER
    base.mkdir(parents=True, exist_ok=True)
    sweep(project)
    folder = base / name
    with held(base / f"{name}.lock", f"a run named {name} is going on"):
        try:
            git(project, "worktree", "add", "--quiet", "--detach", str(folder), commit)
            _share(project, folder)
            if commit == "HEAD":
                _tell_changed(project, log)
            yield Workspace(project.resolve(), folder)
        finally:
            remove(project, folder)


@contextmanager
def claimed(project: Path, name: str) -> Iterator[None]:
    """Hold the name of a run that has no worktree, by which others see that it lives.

    Raises:
        OutputError: Another run has it.
    """
    base = project.resolve() / FOLDER
    base.mkdir(parents=True, exist_ok=True)
    sweep(project)
    with held(base / f"{name}.lock", f"a run named {name} is going on"):
        yield


def _tell_changed(project: Path, log: Log) -> None:
    changed: list[str] = []
    unknown: list[str] = []
    for line in git(project, "status", "--porcelain", "--untracked-files=all").splitlines():
        (unknown if line.startswith("??") else changed).append(line[3:])
    for names, are in ((changed, "are not committed"), (unknown, "git does not track")):
        if names:
            some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            log(f"{len(names)} files that {are} are no part of this run: {some}")


def sweep(project: Path) -> None:
    """Remove what runs that are dead have left: worktrees, and commits on their way to workers, here and on the origin.

    A run is dead if nobody holds its lock. Nothing else is touched.
    """
    base = project.resolve() / FOLDER
    if not base.exists():
        return
    with FileLock(base / SWEEPING):
        locks = {path.stem for path in base.glob("*.lock") if path.name not in (SAVING, SWEEPING)}
        sent: dict[str, list[str]] = {}
        for reference in git(project, "for-each-ref", "--format=%(refname)", SENT, fails=True).splitlines():
            sent.setdefault(reference.removeprefix(f"{SENT}/").partition("/")[0], []).append(reference)
        for name in sorted(locks | (set(sent) - _elsewhere(project, base))):
            lock = base / f"{name}.lock"
            with suppress(Timeout), FileLock(lock).acquire(timeout=0):
                if name in locks:
                    remove(project, base / name)
                for reference in sent.get(name, []):
                    forget(project, reference)
                lock.unlink(missing_ok=True)


def _elsewhere(project: Path, base: Path) -> set[str]:
    """Names of the runs in a person's other worktrees: git has all refs in common, but each has locks of its own."""
    bases = [folder / FOLDER for folder in worktrees(project, fails=True)]
    return {path.stem for other in bases if other != base for path in other.glob("*.lock")}


def _share(project: Path, folder: Path) -> None:
    """Have the worktree use the project's cache and remotes, and its settings that git does not track.

    What DVC remembers of the worktree lies in it, and goes with it.

    Relative paths in the settings are relative to the project; in the worktree, which lies deeper, they are absolute.
    """
    from dvc.config import Config
    from dvc.repo import Repo

    own = project.resolve() / ".dvc" / "config.local"
    if own.exists():
        shutil.copyfile(own, folder / ".dvc" / "config.local")
    with Repo(str(project.resolve())) as repo:
        cache = repo.cache.local_cache_dir
    given = Config(str(project.resolve() / ".dvc"), validate=False)
    with Config(str(folder / ".dvc"), validate=False).edit("local") as settings:
        for level in ("repo", "local"):
            for section, name, key, path in _relative(given.load_one(level)):
                settings[section].setdefault(name, {})[key] = path
        settings["cache"]["dir"] = cache
        settings["core"]["site_cache_dir"] = str(folder / SITE_CACHE)


def _relative(settings: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Section, name, key and absolute path of what one of DVC's files of settings gives relative to itself."""
    from dvc.config_schema import RelPath

    # NOTE: it is DVC that knows which of its settings are paths; when it reads them it marks those that are relative.
    for section in ("remote", "machine"):
        for name, values in settings.get(section, {}).items():
            for key, value in values.items():
                if isinstance(value, RelPath):
                    yield section, name, key, str(value)


def compose(workspace: Workspace, study: str, overrides: Sequence[str]) -> None:
    """Write the workspace's params.yaml as `dvc exp run -S study=STUDY -S OVERRIDE` would.

    Args:
        workspace: Where.
        study: A file of conf/study, without its suffix; params.yaml as it is committed if empty.
        overrides: Such as "train.epochs=2".

    Raises:
        ParamsError: There is no such study, or an override cannot be understood.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides, compose_and_dump

    conf, target = workspace.folder / "conf", workspace.folder / "params.yaml"
    known = sorted(path.stem for path in (conf / "study").glob("*.yaml"))
    if study and study not in known:
        lies = Path("conf", "study", f"{study}.yaml")
        if (workspace.project / lies).is_file():
            raise ParamsError(f"the study {study} is not committed in what is to run: git add {lies}, and commit it")
        raise ParamsError(f"there is no study {study!r}{nearest(study, known)}")
    try:
        if study:
            compose_and_dump(target, str(conf), None, "config", str(workspace.folder), [f"study={study}", *overrides])
        elif overrides:
            apply_overrides(target, list(overrides))
    except (DvcException, OSError) as error:
        told = [str(error), str(error.__cause__ or "")]
        if found := _UNKNOWN.search(" ".join(told)):
            names = _names(yaml.safe_load(target.read_text()))
            raise ParamsError(f"{found[1]} is not a parameter{nearest(found[1], names)}") from None
        raise ParamsError(f"{', '.join(overrides)}: {' '.join(' '.join(told).split())[:300]}") from error


def _names(values: Mapping[str, Any], before: str = "") -> list[str]:
    """The names of parameters, as in "train.epochs"."""
    names = []
    for name, value in values.items():
        names.append(f"{before}{name}")
        names += _names(value, f"{before}{name}.") if isinstance(value, dict) else []
    return names


def restore(workspace: Workspace, children: Children, pull: bool = False) -> None:
    """Check out what the lock names and the cache holds, so that what has not changed is not started.

    Args:
        workspace: Where.
        children: Runs the command.
        pull: Whether to fetch what the cache lacks from the DVC remote, if there is one.
    """
    if pull and has_remote(workspace.folder):
        children.run(dvc("pull", "--quiet", "--force", "--allow-missing"), workspace.folder, lambda _: None)
        return
    if workspace.folder != workspace.project and (workspace.folder / "dvc.lock").exists():
        children.run(dvc("checkout", "--quiet", "--force", "--allow-missing"), workspace.folder, lambda _: None)


def tree(folder: Path) -> str:
    """Return git's tree of all that a worktree holds and git does not ignore."""
    git(folder, "add", "--all")
    return git(folder, "write-tree")


def head(folder: Path) -> str:
    """Return the commit that a folder is at."""
    return git(folder, "rev-parse", "HEAD")


def snapshot(folder: Path, message: str, parents: Sequence[str]) -> str:
    """Make a commit of all that a worktree holds and git does not ignore; no branch moves.

    Returns:
        The commit.
    """
    named = (part for parent in parents for part in ("-p", parent))
    return git(folder, "commit-tree", tree(folder), "-m", message, *named)


def publish(folder: Path, commit: str, reference: str) -> str:
    """Give a commit a name, here and in the repository that this one was cloned from.

    Returns:
        Why that one does not take it, or nothing.
    """
    git(folder, "update-ref", reference, commit)
    if not has_origin(folder):
        return "there is no git remote named origin"
    try:
        at_origin(folder, "push", "--quiet", "--force", ORIGIN, f"{commit}:{reference}")
    except OutputError as error:
        return str(error)
    return ""


def forget(folder: Path, reference: str) -> None:
    """Take the name of a commit away again, there and here; here it stays if the origin does not answer."""
    try:
        if has_origin(folder) and at_origin(folder, "ls-remote", ORIGIN, reference):
            at_origin(folder, "push", "--quiet", ORIGIN, f":{reference}")
    except OutputError:
        return
    git(folder, "update-ref", "-d", reference, fails=True)


def bring(project: Path, commit: str, reference: str) -> None:
    """Have a commit in the project's repository: fetch it by its name if it is not there.

    Raises:
        OutputError: It cannot be had.
    """
    name = f"{commit}^{{commit}}"
    if not git(project, "rev-parse", "--quiet", "--verify", name, fails=True):
        # NOTE: without a name here: that is its sender's to take away again.
        at_origin(project, "fetch", "--quiet", "--no-write-fetch-head", ORIGIN, reference)
        git(project, "rev-parse", "--quiet", "--verify", name)


def has_remote(folder: Path) -> bool:
    """Tell whether a project has a default DVC remote."""
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        return bool(repo.config.get("core", {}).get("remote"))


def resolve(project: Path, revision: str) -> str:
    """Return the commit that git has under a name, or else that of a DVC experiment; "origin/..." is fetched first.

    Raises:
        ParamsError: There is none, or more than one experiment.
        OutputError: The origin does not answer.
    """
    if revision.startswith(f"{ORIGIN}/"):
        at_origin(project, "fetch", "--quiet", ORIGIN)
    asked = ("--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    if found := git(project, "rev-parse", *asked, fails=True):
        return found
    experiments = {}
    for line in git(project, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps/*/*/*").splitlines():
        commit, _, reference = line.partition(" ")
        *_, start, end, name = reference.split("/")
        if name == revision:
            experiments[f"{start}{end}"] = commit
    if len(experiments) > 1:
        on = ", ".join(f"{commit[:10]} on {baseline[:10]}" for baseline, commit in sorted(experiments.items()))
        raise ParamsError(f"there are {len(experiments)} DVC experiments {revision!r}: {on}; name the commit")
    if not experiments:
        raise ParamsError(f"there is no branch, tag, commit or DVC experiment {revision!r}")
    return experiments.popitem()[1]


def project_folder(chosen: Path | None) -> Path:
    """Return the project's folder: the one that is chosen, or DEGRAIN_PROJECT, or the present one.

    Raises:
        ParamsError: It holds no dvc.yaml.
    """
    folder = (chosen or variables.project()).resolve()
    if not (folder / "dvc.yaml").is_file():
        raise ParamsError(f"{folder} holds no dvc.yaml")
    return folder
