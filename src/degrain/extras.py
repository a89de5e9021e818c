"""Which library belongs to which extra of the package, and what to do where one is missing.

`import degrain` appends a finder to the import system that is asked when no other one knows a module. It answers the
code of degrain only: there, an import of what belongs to an extra raises `MissingExtra`, one line that says what to
install. Other packages find out as usual what they have to do without.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # NOTE: as typing has it; every import of degrain would wait for typing and importlib.util.
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from degrain.errors import MissingExtra

# By the names under which degrain imports them; pyproject.toml has the distributions.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "pipeline": (
        "alembic",
        "dvc",
        "great_expectations",
        "h5py",
        "httpx",
        "hydra",
        "kaggle",
        "kagglesdk",
        "matplotlib",
        "mlflow",
        "omegaconf",
        "onnxruntime",
        "prefect",
        "requests",
        "ruamel",
        "sqlalchemy",
        "tenacity",
    ),
    "raw": ("rawpy",),
}
_EXTRA_OF = {module: extra for extra, modules in EXTRAS.items() for module in modules}
_OURS = ("degrain", "pipelines")


class _Finder:
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Find nothing; refuse a library of an extra that degrain's code imports.

        Raises:
            MissingExtra: It is one.
        """
        if fullname in _EXTRA_OF and _importer().partition(".")[0] in _OURS:
            raise _missing(fullname)
        return None


def _importer() -> str:
    """Return the package of the code that imports something; of one that only asks whether it is there, `importlib`."""
    frame = sys._getframe(2)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("importlib._bootstrap"):
        frame = frame.f_back
    return frame.f_globals.get("__package__") or ""


def _missing(module: str) -> MissingExtra:
    from degrain.errors import MissingExtra

    return MissingExtra(f"{module} is not installed; run: {command(_EXTRA_OF[module])}")


def install_finder() -> None:
    """Have imports by degrain's code say which extra is missing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


def command(extra: str) -> str:
    """Return the command that installs an extra.

    >>> command("raw")
    "pip install 'degrain[raw]'"
    """
    return f"pip install 'degrain[{extra}]'"


def absent(extra: str) -> list[str]:
    """Return which libraries of an extra are not installed; none is imported."""
    return [module for module in EXTRAS[extra] if not _is_installed(module)]


def require(*modules: str) -> None:
    """Refuse to begin work that will need a library of an extra; none is imported.

    Raises:
        MissingExtra: One is not installed.
    """
    for module in modules:
        if not _is_installed(module):
            raise _missing(module)


def _is_installed(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None
