"""Training a registered version again, from what the registry, git and DVC keep of it alone.

A git worktree at the version's commit gets what the version carries (see `degrain.registry.origin`) and its data; that
tree's own code trains the one trial, with a ledger of its own, so that nothing is reused.
"""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from degrain import files
from degrain.artifacts.trial import DONE, TRIAL
from degrain.errors import DataError, ModelError, OutputError, ParamsError, RegistryError, TrainingError
from degrain.evaluation import methods, scoring, summary
from degrain.inference.denoiser import Denoiser
from degrain.machine import compute
from degrain.patches.store import PatchStore
from degrain.programs.commands import cache_folder, default_remote, dvc, git, require, run
from degrain.registry import loading, origin, registered, tags, tracking, worktrees
from degrain.registry.registered import Code, Made

log = logging.getLogger(__name__)

# The mean that tells two sets of weights apart.
MEASURE = summary.name("test")
# Of its difference.
DIGITS = 4


@dataclass(frozen=True)
class Rebuilt:
    """What came out of a rebuild.

    Attributes:
        what: The version, for people.
        was, now: The trial that is registered, and the one that was trained just now.
        scores: Mean PSNR of the test patches of both, in this order; None where the bits are the same, or where this
            code cannot measure them.
        unmeasured: Why it cannot.
    """

    what: str
    was: Made
    now: Made
    scores: tuple[float, float] | None = None
    unmeasured: str = ""

    @property
    def same_key(self) -> bool:
        """Whether the same settings, data, code, libraries and kind of machine were used."""
        return self.was.key == self.now.key

    @property
    def same_bits(self) -> bool:
        """Whether the weights are the same, bit for bit."""
        return self.was.weights == self.now.weights


@dataclass(frozen=True)
class _Source:
    """What a version is made of, taken from the registry."""

    what: str
    name: str
    model: str
    trial: str
    code: Code
    origin: Mapping[str, bytes]
    package: Path
    made: Made


def rebuild(reference: str, project: Path, prepared: Path, keep: bool = False) -> Rebuilt:
    """Train a registered version again, and compare the weights.

    Args:
        reference: models:/NAME@ALIAS or models:/NAME/VERSION.
        project: The project's folder.
        prepared: Where the patch store lies in a project.
        keep: Whether the worktree stays.

    Raises:
        RegistryError: The registry does not hold the version, or not what made it; or its commit is not here.
        OutputError: The worktree cannot be made, or what the version carries does not apply to it.
        DataError: Its data cannot be had.
        TrainingError: The trial did not get done.
        Stopped: SIGTERM has come.
    """
    with TemporaryDirectory(prefix="degrain-") as temporary:
        source = _source(reference, Path(temporary))
        _require_commit(project, source)
        with worktrees.opened(project, source.name, source.code.commit, keep) as folder:
            home = folder / ".degrain"
            _lay_out(folder, home / "origin", source)
            # NOTE: data.path and a relative DEGRAIN_MIRROR belong to the project.
            settings = {
                "PYTHONPATH": str(folder / "src"),
                "DEGRAIN_HOME": str(home),
                "DEGRAIN_PROJECT": str(project.resolve()),
            }
            log.info("%s comes from %s", prepared, _bring_data(project, folder, prepared, settings))
            entry = _train(folder, home, source, settings)
            return _compare(source, entry, folder / prepared)


def _source(reference: str, target: Path) -> _Source:
    """Fetch all that the registry has of a version.

    Raises:
        RegistryError: It has not all of it.
    """
    with tracking.connect() as client:
        version = loading.version(client, reference)
        carried = origin.read(client, version)
        if origin.PARAMS not in carried:
            raise RegistryError(f"{tags.what(version)} carries no {origin.PARAMS}")
        package = registered.fetch(client, version, target)
        return _Source(
            what=tags.what(version),
            name=files.portable_name(f"{version.name}-{version.version}", "version"),
            model=tags.text(version, tags.MODEL),
            trial=tags.text(version, tags.TRIAL),
            code=registered.code(version, carried),
            origin=carried,
            package=package,
            made=Made.read(package / TRIAL),
        )


def _require_commit(project: Path, source: _Source) -> None:
    """Refuse a version whose code is not here.

    Raises:
        RegistryError: It has no commit, or the repository does not hold it.
    """
    if not source.code.commit:
        raise RegistryError(f"{source.what} was trained outside of git, so nobody knows by which code")
    require(git(project, "rev-parse", "--git-dir"), "a rebuild needs the project's git repository")
    if git(project, "cat-file", "-e", f"{source.code.commit}^{{commit}}").code != 0:
        raise RegistryError(
            f"the commit {source.code.commit} of {source.what} is not in this repository; run: git fetch"
        )


def _lay_out(folder: Path, kept: Path, source: _Source) -> None:
    """Put what a version carries into its worktree.

    Raises:
        OutputError: The changes beyond the commit do not apply.
    """
    kept.mkdir(parents=True)
    for name, content in source.origin.items():
        (kept / name).write_bytes(content)
    if source.code.changed:
        applied = git(folder, "apply", "--whitespace=nowarn", str(kept / origin.DIFF))
        require(applied, f"the uncommitted changes of {source.what} do not apply to its commit {source.code.commit}")
    for name in (origin.PARAMS, origin.LOCK):
        if name in source.origin:
            (folder / name).write_bytes(source.origin[name])
    told = " and the uncommitted changes that it carries" if source.code.changed else ""
    log.info("%s is rebuilt from commit %s%s", source.what, source.code.commit, told)


def _bring_data(project: Path, folder: Path, prepared: Path, settings: Mapping[str, str]) -> str:
    """Put the patch store into a worktree.

    Returns:
        Where it comes from.

    Raises:
        OutputError: DVC does not work here.
        DataError: It is in no cache and no remote, and cannot be made again.
    """
    if not (folder / ".dvc").is_dir():
        raise OutputError(f"the commit holds no DVC project, so that nothing can bring {prepared}")
    # NOTE: where data is kept is what the project says now, not what it said at that commit.
    for name in ("config", "config.local"):
        if (project / ".dvc" / name).exists():
            shutil.copyfile(project / ".dvc" / name, folder / ".dvc" / name)
    require(dvc(folder, "cache", "dir", "--local", str(cache_folder(project).resolve())), "dvc cache dir")
    if dvc(folder, "checkout", "--quiet", "--force", str(prepared)).code == 0 and (folder / prepared).is_dir():
        return "the DVC cache"
    why = "there is no DVC remote"
    if default_remote(folder):
        _share_remotes(project, folder)
        log.info("%s is not in the DVC cache; the remote is asked", prepared)
        pulled = dvc(folder, "pull", "--quiet", "--force", str(prepared))
        if pulled.code == 0:
            return "the DVC remote"
        why = f"the DVC remote does not give it: {pulled.reason}"
    log.warning("%s is not in the DVC cache, and %s; it is made again from the published data", prepared, why)
    made = dvc(folder, "repro", "--quiet", "prepare", settings=settings, shown=True)
    if made.code != 0:
        raise DataError(f"{prepared} is in no DVC cache, {why}, and dvc repro prepare failed, see above")
    return "the published data, prepared again"


def _share_remotes(project: Path, folder: Path) -> None:
    """Have a worktree find the remotes that the project's settings name by relative paths.

    Raises:
        OutputError: DVC does not tell the settings.
    """
    listed = require(dvc(project, "config", "--list"), "dvc config")
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, rest = name.partition(".")
        remote, _, option = rest.rpartition(".")
        # NOTE: DVC shows relative paths as absolute ones.
        if section == "remote" and Path(value).is_absolute():
            require(dvc(folder, "remote", "modify", "--local", remote, option, value), "dvc remote modify")


def _train(folder: Path, home: Path, source: _Source, settings: Mapping[str, str]) -> Path:
    """Train the trial by the worktree's own code; return its folder.

    Raises:
        TrainingError: It did not get done.
    """
    wanted = ("--model", source.model, "--trial", source.trial, "--in-process")
    ended = run(folder, sys.executable, "-m", "degrain", "train", *wanted, settings=settings, shown=True)
    if ended.code != 0:
        raise TrainingError(f"{source.what} could not be trained again (exit code {ended.code}), see above")
    entries = [path.parent for path in (home / "trials").glob(f"*/{TRIAL}") if not path.parent.suffix]
    if len(entries) != 1:
        raise TrainingError(f"training {source.what} left {len(entries)} trials in its ledger, not one")
    made = Made.read(entries[0] / TRIAL)
    if made.state != DONE:
        raise TrainingError(f"the trial of {source.what} did not get done this time: {made.state}, {made.reason}")
    return entries[0]


def _compare(source: _Source, entry: Path, prepared: Path) -> Rebuilt:
    """Hold what was trained against what is registered."""
    made = Rebuilt(source.what, source.made, Made.read(entry / TRIAL))
    if made.same_bits:
        return made
    log.info("the bits differ; both are measured on the test patches")
    try:
        store = PatchStore.open(prepared)
        scores = _measure(source.package, store), _measure(entry, store)
    except (DataError, ModelError, ParamsError) as error:
        return replace(made, unmeasured=str(error))
    return replace(made, scores=scores)


def _measure(folder: Path, store: PatchStore) -> float:
    """Return the mean PSNR of a model on the test patches, in dB.

    Raises:
        DataError: The patch store has changed since it was opened.
        ModelError: This code cannot load the model.
        ParamsError: A metric gives no finite number.
    """
    denoiser = Denoiser.load(folder, compute.prepare_torch("auto", compute.threads()))
    method = methods.network("model", denoiser, tile=store.patch_size, overlap=0)
    return summary.summarize(scoring.score(method, store, ()))[method.name][MEASURE]


def differences(was: Made, now: Made) -> list[str]:
    """Return what differs between two trials beside their weights, in words; nothing where only the code can."""
    pairs: list[tuple[Mapping[str, object], Mapping[str, object]]] = [
        (was.place, now.place),
        (was.origin.machine, now.origin.machine),
        (was.versions, now.versions),
    ]
    found = [
        f"{name} is {other.get(name, 'unknown')} here, and was {one.get(name, 'unknown')}"
        for one, other in pairs
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]
    if was.data_sha256 != now.data_sha256:
        found.append("the patch store")
    if was.network_sha256 != now.network_sha256:
        found.append("the code of the network")
    return found


def conclusion(made: Rebuilt) -> list[str]:
    """Return what a rebuild shows, in lines: the outcome first, then what differs."""
    key = f"the same key {made.now.key}" if made.same_key else f"another key, {made.now.key} instead of {made.was.key}"
    bits = f"the same bits, weights {made.now.weights[:12]}" if made.same_bits else "other bits"
    lines = [f"{made.what} is rebuilt: {key}, {bits}"]
    if made.scores:
        was, now = made.scores
        metric = summary.metric_of(MEASURE)
        lines.append(
            f"{summary.MEASURES[MEASURE]}: {summary.text(MEASURE, was)} registered, {summary.text(MEASURE, now)} "
            f"rebuilt ({now - was:+.{DIGITS}f} {metric.unit})"
        )
    elif not made.same_bits:
        lines.append(f"the present code cannot measure both ({made.unmeasured}); --keep keeps the worktree, whose can")
    if made.same_key and made.same_bits:
        return lines
    found = differences(made.was, made.now)
    if not found and not made.same_key:
        found = ["the code or the settings of training, such as files that git did not know"]
    return [*lines, *(f"differs: {one}" for one in found)]
