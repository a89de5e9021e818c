"""The files that a project is made of: those of the clone, which an installed package holds a copy of."""

from __future__ import annotations

from pathlib import Path

from degrain.errors import OutputError
from degrain.provenance import closure

# Where the wheel holds them; pyproject.toml names this folder, too.
_IN_WHEEL = Path(__file__).parent / "clone"
# What only projects have.
_OWN = Path(__file__).parent / "template"


def text(name: str) -> str:
    """Return a file of the clone, such as "conf/base.yaml"."""
    return (_folder() / name).read_text(encoding="utf-8")


def template(name: str) -> str:
    """Return a file that only projects have."""
    return (_OWN / name).read_text(encoding="utf-8")


def names(folder: str, pattern: str) -> list[str]:
    """Return the files in a folder of the clone, sorted, as `text` takes them."""
    base = _folder()
    return sorted(path.relative_to(base).as_posix() for path in (base / folder).glob(pattern))


def is_clone(folder: Path) -> bool:
    """Tell whether a folder is a clone of degrain, whose dvc.yaml depends on the code itself."""
    return (folder / "src" / "degrain" / "__init__.py").is_file()


def _folder() -> Path:
    """Where the files lie.

    Raises:
        OutputError: This degrain is neither a clone nor an installed wheel.
    """
    for folder in (_IN_WHEEL, closure.PACKAGE.parents[1]):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise OutputError("this installation of degrain lacks the files of a project; install it from its wheel")
