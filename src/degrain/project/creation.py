"""`degrain init`: a project of one's own, of which nothing that is there already is overwritten."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import degrain
from degrain import extras, files
from degrain.errors import DataError, OutputError, ParamsError, nearest
from degrain.programs.commands import git, require
from degrain.project import code, graph, sources
from degrain.studies import gallery

README, PARAMS, STUDIES = "README.md", "params.yaml", "conf/study"
PIPELINES, DEPLOYMENTS = "pipelines", "prefect.yaml"
_SETTINGS, PLOTS = ".dvc/config", ".dvc/plots/by_trial.json"
# Files of the clone that a project has as they are. Those below .dvc/ are all that `dvc init` would make.
_PLAIN = ("conf/base.yaml", _SETTINGS, ".dvc/.gitignore", PLOTS, ".dvcignore")
# It writes the dvc.yaml of a clone.
_ONLY_CLONE = "pipelines/dependencies.py"
# Where a study file names its images, and where conf/config.yaml names the study.
_PATH = re.compile(r'(?m)^(  path: )""')
_DEFAULT = re.compile(r"(?m)^(  - study: ).*$")


@dataclass(frozen=True)
class Kind:
    """A kind of images of one's own.

    Attributes:
        study: The study of it, a file of conf/study.
        title: What it is, after "Denoising".
    """

    study: str
    title: str


KINDS: Mapping[str, Kind] = {
    "photos": Kind("folder", "photographs: clean ones, to which the noise of a camera is added"),
    "pairs": Kind("pairs", "pairs of noisy and clean images"),
    "raw": Kind("camera-raw", "camera raw files"),
    "only-noisy": Kind("only-noisy", "images of which only noisy ones exist"),
}


@dataclass
class Created:
    """What became of a project.

    Attributes:
        folder: The project's.
        kind: Of its images.
        commands: What comes next, each with what it does.
        written: Files that are new, relative to the folder.
        left: Files that were there already.
        notes: What else a person should know, a line each.
    """

    folder: Path
    kind: Kind
    commands: list[tuple[str, str]]
    written: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def write(self, name: str, text: Callable[[], str]) -> None:
        """Write a file that is not there yet; only then is its text asked for."""
        target = self.folder / name
        if target.is_symlink() or files.is_there(target):
            self.left.append(name)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with files.new_file(target, replace=False) as partial:
            partial.write_text(text(), encoding="utf-8")
        self.written.append(name)


def create(folder: Path, kind: str, images: Path | None = None, prefect: bool = False) -> Created:
    """Make a folder a project, or complete one.

    Args:
        folder: Made if it is missing.
        kind: One of `KINDS`, which params.yaml asks.
        images: The folder of these images; named later if None.
        prefect: Whether the Prefect flow and its deployments are wanted, too.

    Raises:
        ParamsError: There is no such kind, or images cannot be named.
        DataError: There are no such images.
        OutputError: The folder cannot be a project, git or DVC refuse, or a file cannot be written.
    """
    if kind not in KINDS:
        raise ParamsError(f"--kind: {kind!r} is not {', '.join(KINDS)}{nearest(kind, KINDS)}")
    chosen = KINDS[kind]
    extras.require("hydra", "ruamel")
    _refuse(folder)
    path = _path(images, folder)
    around = _repository(folder)
    made = Created(folder, chosen, _commands(chosen, path))
    _write_conf(made, path)
    for name in (*_PLAIN, *((*pipelines(), DEPLOYMENTS) if prefect else ())):
        made.write(name, functools.partial(sources.text, name))
    made.write(graph.GRAPH, graph.text)
    made.write(code.CODE, lambda: code.text(graph.stages()))
    made.write(".gitignore", lambda: sources.template("gitignore"))
    made.write(PARAMS, lambda: _params(folder, chosen.study))
    made.write(README, lambda: _readme(made, path))
    _version(made, around)
    return made


def pipelines() -> list[str]:
    """Return the files of the Prefect flows, as a project has them."""
    return [name for name in sources.names(PIPELINES, "*.py") if name != _ONLY_CLONE]


def _refuse(folder: Path) -> None:
    if files.is_there(folder) and not folder.is_dir():
        raise OutputError(f"{folder} is a file; name a folder")
    if sources.is_clone(folder):
        raise OutputError(f"{folder} is a clone of degrain, which has all that a project has")
    files.require_writable(folder / README)


def _path(images: Path | None, folder: Path) -> str:
    """What a study says of where its images are: relative to the project if they are in it, else absolute."""
    if images is None:
        return ""
    found = images.expanduser().absolute()
    if not files.is_folder(found):
        raise DataError(f"--images: {images} is no folder")
    within = found.resolve(), folder.resolve()
    text = within[0].relative_to(within[1]).as_posix() if within[0].is_relative_to(within[1]) else found.as_posix()
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ParamsError(f"--images: the name {text!r} is not UTF-8; rename it") from None
    return text


def _write_conf(made: Created, path: str) -> None:
    made.write("conf/config.yaml", lambda: _DEFAULT.sub(rf"\g<1>{made.kind.study}", sources.text("conf/config.yaml")))
    # NOTE: OmegaConf takes ${...} for the name of another value.
    quoted = json.dumps(path.replace("${", "\\${"), ensure_ascii=False)
    for kind in KINDS.values():
        made.write(_file(kind), functools.partial(_study, kind, quoted if kind == made.kind else '""'))
    own = _file(made.kind)
    if path and own in made.left and quoted not in (made.folder / own).read_text(encoding="utf-8", errors="replace"):
        made.notes.append(f"{own} was there already: write data.path: {quoted} into it yourself")


def _file(kind: Kind) -> str:
    return f"{STUDIES}/{kind.study}.yaml"


def _study(kind: Kind, path: str) -> str:
    return _PATH.sub(lambda found: f"{found[1]}{path}", sources.text(_file(kind)))


def _params(folder: Path, study: str) -> str:
    """The params.yaml that `dvc exp run` would compose from the project's conf/."""
    import yaml
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        composed = gallery.compose(study, folder / "conf")
    except (HydraException, OmegaConfBaseException) as error:
        raise ParamsError(f"{folder / 'conf'}: {' '.join(str(error).split())[:300]}") from None
    return yaml.safe_dump(composed, sort_keys=False, allow_unicode=True)


def _commands(kind: Kind, path: str) -> list[tuple[str, str]]:
    if path:
        return [("degrain check", "can it run?"), ("dvc repro", "from the images to the report")]
    return [
        (f"degrain check -S study={kind.study}", "can it run?"),
        ("dvc exp run", "compose params.yaml from conf/, and run it, from the images to the report"),
    ]


def _readme(made: Created, path: str) -> str:
    asks = f"The images are in `{path}`."
    if not path:
        asks = f"First write where your images are into `{_file(made.kind)}`, as `path`."
    width = max(len(command) for command, _ in made.commands)
    return Template(sources.template(README)).substitute(
        title=made.kind.title,
        version=f"degrain {degrain.__version__}",
        asks=asks,
        study=made.kind.study,
        commands="\n".join(f"{command:{width}}    # {what}" for command, what in made.commands),
    )


def _repository(folder: Path) -> Path | None:
    """Return the git repository that holds a folder which is none itself; None if there is none.

    Raises:
        OutputError: That repository has files of the folder, or git is not installed.
    """
    near = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.is_dir())
    asked = git(near, "rev-parse", "--show-toplevel")
    if asked.code != 0 or (folder / ".git").exists():
        return None
    around = Path(asked.output.rstrip("\n"))
    if folder.is_dir() and git(folder, "ls-files", "--", ".").output:
        raise OutputError(
            f"{folder} belongs to the git repository {around}, which tracks files in it; "
            "a project needs a repository of its own: name a new folder"
        )
    return around


def _version(made: Created, around: Path | None) -> None:
    """Have git and DVC know the project; what git did not know before is committed.

    Raises:
        OutputError: One of them refuses.
    """
    folder = made.folder
    new = not (folder / ".git").exists()
    if new:
        require(git(folder, "init", "--quiet"), "git init")
    if around is not None:
        made.notes.append(
            f"it has a git repository of its own inside of {around}: add {folder.name}/ to the .gitignore there"
        )
    if _SETTINGS in made.left:
        _note_hydra(made)
    if new:
        _commit(made)
    elif made.written:
        made.notes.append("nothing was committed to the git repository that was there; what is new is yours to commit")


def _note_hydra(made: Created) -> None:
    """Say where DVC's settings, which were there, keep `dvc exp run` from composing a study."""
    settings = ConfigParser()
    settings.read(made.folder / _SETTINGS, encoding="utf-8")
    if not settings.getboolean("hydra", "enabled", fallback=False):
        made.notes.append(f"{_SETTINGS} was there already; for dvc exp run: dvc config hydra.enabled true")


def _commit(made: Created) -> None:
    """Commit what was written, and nothing else."""
    message = f"Start a project of degrain {degrain.__version__}"
    for command in (("add", "--", *made.written), ("commit", "--quiet", "-m", message)):
        done = git(made.folder, *command)
        if done.code != 0:
            made.notes.append(f"nothing is committed yet ({done.reason}); run: git commit")
            return
