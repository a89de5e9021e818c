"""Ways in which a prepared store becomes another one while something reads it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path


def another(folder: Path) -> Path:
    """A copy of a store with other arrays."""
    made = folder.with_name("another")
    shutil.copytree(folder, made)
    for path in made.rglob("*.npy"):
        overwritten(path)
    return made


def overwritten(path: Path) -> None:
    """Change the last bytes of a file in place: maps of it change, too."""
    with path.open("r+b") as file:
        file.seek(-64, 2)
        content = file.read()
        file.seek(-64, 2)
        file.write(bytes(byte ^ 1 for byte in content))


def swap(folder: Path) -> None:
    """Put another store in its place, as prepare does."""
    made = another(folder)
    folder.rename(folder.with_name("old"))
    made.rename(folder)


def swap_and_remove(folder: Path) -> None:
    """The same, and remove the one that was there."""
    swap(folder)
    shutil.rmtree(folder.with_name("old"))


def replace_files(folder: Path) -> None:
    """Put other arrays in the place of each."""
    made = another(folder)
    for path in made.rglob("*.npy"):
        path.replace(folder / path.relative_to(made))


def overwrite(folder: Path) -> None:
    """Write into the arrays."""
    for path in folder.rglob("*.npy"):
        overwritten(path)


WAYS: dict[str, Callable[[Path], None]] = {
    "another folder": swap,
    "another folder, the old one removed": swap_and_remove,
    "other files": replace_files,
    "written to": overwrite,
    "removed": shutil.rmtree,
}


def rewrite(folder: Path) -> None:
    """Prepare the same store again: other files, the same bytes."""
    shutil.copytree(folder, folder.with_name("again"))
    shutil.rmtree(folder)
    folder.with_name("again").rename(folder)
