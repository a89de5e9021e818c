"""Folders of real people: which files are images, and what else lies there."""

from __future__ import annotations

import logging
import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from degrain import files
from degrain.ingest.formats import camera_raw, reading

log = logging.getLogger(__name__)

SUFFIXES = (*reading.SUFFIXES, *camera_raw.SUFFIXES)

HIDDEN = "hidden files, and those that systems and programs keep beside images"
SUBFOLDERS = "subfolders"
PAIRED = "images that a camera saved beside its raw files"
# What systems and programs put into folders, in lower case; hidden files begin with a dot.
_COMPANIONS = (
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
    "@eadir",
    "__macosx",
    "$recycle.bin",
    "zbthumbnail.info",
)


@dataclass
class Found:
    """What lies in a folder.

    Attributes:
        images: Files whose suffix says that they are images, sorted.
        left_out: What else lies there, and how much of it.
        problems: What ought to be looked at: one line each, beginning with the path.
        refused: The paths of these problems.
    """

    images: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    refused: list[Path] = field(default_factory=list)

    def told(self) -> str:
        """What is left out, in words; empty if nothing is."""
        return ", ".join(f"{count} {what}" for what, count in sorted(self.left_out.items()))


def is_companion(name: str) -> bool:
    """Tell whether a file or folder is hidden, or kept by a system or program beside images."""
    return name.startswith(".") or name.lower() in _COMPANIONS


def find(folder: Path, recursive: bool, without: Collection[Path] = ()) -> Found:
    """Look for images. No file is opened, and links to folders are not followed.

    Args:
        folder: Where.
        recursive: Whether in its subfolders, too.
        without: Folders, resolved, that are not looked into.

    Returns:
        What is there. Of a raw file and an image of the same name beside it, as cameras save both, the raw file counts.
    """
    found = Found()
    _look(folder, recursive, without, found)
    found.images, paired = _without_pairs(sorted(found.images))
    if paired:
        found.left_out[PAIRED] += paired
    return found


def _look(folder: Path, recursive: bool, without: Collection[Path], found: Found) -> None:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        found.problems.append(f"{folder} cannot be read: {error.strerror}")
        found.refused.append(folder)
        return
    for entry in entries:
        path = folder / entry.name
        if is_companion(entry.name):
            found.left_out[HIDDEN] += 1
        elif entry.is_dir(follow_symlinks=False):
            if not recursive:
                found.left_out[SUBFOLDERS] += 1
            elif path.resolve() not in without:
                _look(path, recursive, without, found)
        elif problem := _problem(path, entry):
            found.problems.append(f"{path} {problem}")
            found.refused.append(path)
        elif path.suffix.lower() in SUFFIXES:
            found.images.append(path)
        else:
            found.left_out[f"{path.suffix.lower()} files" if path.suffix else "files without suffix"] += 1


def _problem(path: Path, entry: os.DirEntry[str]) -> str | None:
    """Say why something that is no folder cannot be read as a file, or None."""
    try:
        mode = entry.stat().st_mode
    except FileNotFoundError:
        return "is a link to what does not exist"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "is a link to a folder, which is not followed"
    reason = files.special(mode)
    if reason is None and path.suffix.lower() in SUFFIXES and not os.access(path, os.R_OK):
        return "cannot be read: permission denied"
    return reason


def _without_pairs(images: list[Path]) -> tuple[list[Path], int]:
    """Leave out what lies beside a raw file of the same name."""
    raw = {path.with_suffix("") for path in images if path.suffix.lower() in camera_raw.SUFFIXES}
    kept = [path for path in images if path.suffix.lower() in camera_raw.SUFFIXES or path.with_suffix("") not in raw]
    return kept, len(images) - len(kept)


def problem(path: Path) -> str | None:
    """Say why a path that a person named is no file that can be read, or None."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return files.special(mode)


def warn_of_others(what: str, names: Collection[str], kind: str = "images") -> None:
    """Say how many members of an archive are left out since they are not where a data set's are; name up to three."""
    if names:
        shown = ", ".join(sorted(names)[:3])
        log.warning("%s: left out: %d %s of another layout, such as %s", what, len(names), kind, shown)


def members(names: Iterator[str] | Collection[str]) -> list[str]:
    """Return the names of an archive's members without those that systems put there."""
    return [name for name in names if not any(is_companion(part) for part in name.split("/"))]
