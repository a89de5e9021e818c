"""code.yaml: which code each stage of a project runs, in a form that DVC can depend on.

The stages of a clone depend on files below src/. A project has none: its stages depend on a line each of code.yaml, as
on a parameter. `degrain upgrade` writes it, and a stage refuses to run as another one than it is called there.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import degrain
from degrain import files
from degrain.errors import ParamsError
from degrain.params import yaml_text
from degrain.provenance import closure, digests

CODE = "code.yaml"
# The one line that is no stage.
VERSION = "degrain"
_HEAD = "# The code of each stage. `degrain upgrade` writes this file; DVC runs a stage again when its line changes.\n"
# Hexadecimal digits of a digest.
_DIGITS = 16


def digest(stage: str) -> str:
    """Return what changes with any code that a stage runs, but not with comments and docstrings."""
    return files.digest(digests.code(closure.closure(f"degrain.stages.{stage}")))[:_DIGITS]


def text(stages: Iterable[str]) -> str:
    """Return the code.yaml of the degrain that runs."""
    lines = {VERSION: degrain.__version__, **{stage: digest(stage) for stage in stages}}
    # NOTE: some programs take 12e34567 for a number unless it is quoted.
    return _HEAD + "".join(f'{name}: "{value}"\n' for name, value in lines.items())


def read(folder: Path) -> dict[str, str]:
    """Return what a project's code.yaml says; nothing where there is none.

    Raises:
        ParamsError: It is no YAML, or no mapping of texts.
    """
    path = folder / CODE
    if not path.is_file():
        return {}
    try:
        return parsed(path.read_text(encoding="utf-8"))
    except (yaml_text.Mistake, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: {error}; remove it, and run: degrain upgrade") from None


def parsed(written: str) -> dict[str, str]:
    """Return what a code.yaml says.

    Raises:
        degrain.params.yaml_text.Mistake: It is no YAML, or no mapping of texts.
    """
    found = yaml_text.load(written)
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise yaml_text.Mistake("no mapping of names and texts")
    return found


def require(folder: Path, *stages: str) -> None:
    """Refuse to run stages by other code than a project's code.yaml names; in a clone there is none.

    Args:
        folder: The project's.
        stages: Which; all if none is named.

    Raises:
        ParamsError: The code of one is another.
    """
    known = read(folder)
    if not known:
        return
    made_by = known.pop(VERSION, "")
    others = [stage for stage in stages or known if not _is(stage, known.get(stage, ""))]
    if others:
        instead = "" if made_by in ("", degrain.__version__) else f", or install degrain {made_by}, which wrote it"
        raise ParamsError(
            f"degrain {degrain.__version__} computes {', '.join(others)} otherwise than {CODE} says; "
            f"run: degrain upgrade{instead}"
        )


def _is(stage: str, named: str) -> bool:
    """Whether a digest is that of a stage; a stage of another version may not exist."""
    try:
        return digest(stage) == named
    except KeyError:
        return False
