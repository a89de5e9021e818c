"""Every error that degrain raises on purpose.

DegrainError                  a message for the user: one line, exit code 2
 +-- ParamsError              params.yaml asks for something that does not exist or cannot be
 +-- DataError                an image, a store or a data set is missing or broken
 |    +-- ValidationFailed    an expectation about the data does not hold
 |    +-- VersionMismatch     a record was written in another schema version
 +-- DownloadError            no source gives a data set's file
 +-- ModelError               an unknown model, or one that cannot take this input
 +-- TrainingError            trials failed, and the study asks to stop then
 +-- OutputError              a result cannot be written
 +-- MissingExtra             a library is not installed that belongs to an extra of the package
 +-- RegistryError            the MLflow registry does not answer or does not hold what is asked for
      +-- NoChampion          a registered model has no champion yet
      +-- ForeignVersion      a registered version belongs to another version of degrain
      +-- Deleted             the experiment that runs belong to was deleted
      +-- UnreadableTag       a tag of a registered version is missing, or holds what it cannot mean
      +-- Unreachable         the server of the registry does not answer
      +-- Unauthenticated     the server of the registry wants an account
Diverged                      a trial met NaN or infinity; the grid goes on without it
Stopped                       work was asked to stop and has saved what it had; exit code 130 or 143
"""

from __future__ import annotations

import difflib
import errno
import unicodedata
from collections.abc import Iterable

# Errors of files without a name that are nobody's mistake in the code: full, failing and read-only disks, quotas.
OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG)
# Known names that a message lists, where none is near.
SHOWN = 40
# Letters that change the order in which a terminal shows others (Unicode Standard Annex 9).
_REORDERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def printable(text: str) -> str:
    r"""Return a text as one line that steers no terminal, whatever names of files and parameters it quotes.

    Control characters, line separators, letters that reorder others and halves of surrogate pairs (as names have that
    are not UTF-8) are escaped as in Python; all others stay.

    >>> printable("cat\n\x1b[31m.png")
    'cat\\n\\x1b[31m.png'
    """
    return "".join(letter if _is_harmless(letter) else letter.encode("unicode_escape").decode() for letter in text)


def _is_harmless(letter: str) -> bool:
    return letter not in _REORDERING and unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp")


class DegrainError(Exception):
    """A mistake that the user can mend; its text is one printable line that says how."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


class ParamsError(DegrainError):
    """A parameter is unknown, misspelt or impossible."""


class DataError(DegrainError):
    """An image, a patch store or a data set is missing or broken."""


class ValidationFailed(DataError):  # noqa: N818  (reads as what happened)
    """The data does not meet an expectation and the study does not allow that."""


class VersionMismatch(DataError):  # noqa: N818  (reads as what happened)
    """A record was written in another schema version than this code reads."""


class DownloadError(DegrainError):
    """No source gives a file of a data set; the text names each with its reason."""


class ModelError(DegrainError):
    """A model is unknown, or cannot take the images it is given."""


class TrainingError(DegrainError):
    """Trials failed, and the study asks to stop then."""


class OutputError(DegrainError):
    """A result cannot be written where it belongs."""


class MissingExtra(DegrainError, ModuleNotFoundError):  # noqa: N818  (reads as what is the case)
    """A library is not installed; the text says which extra of the package brings it, see `degrain.extras`."""


class RegistryError(DegrainError):
    """The MLflow registry does not answer, or does not hold what is asked for."""


class NoChampion(RegistryError):  # noqa: N818  (reads as what is the case)
    """A registered model has no champion, or there is no such model yet."""


class ForeignVersion(RegistryError):  # noqa: N818  (reads as what is the case)
    """A registered version was made by another version of degrain; this one cannot tell what it computes."""


class Unseen(RegistryError):  # noqa: N818  (reads as what is the case)
    """A registered version cannot be looked at now, as on a full disk; that does not mean that it is lost."""


class Deleted(RegistryError):  # noqa: N818  (reads as what is the case)
    """An experiment was deleted in MLflow, which takes no run of that name until a person restores it."""


class Unreachable(RegistryError):  # noqa: N818  (reads as what is the case)
    """The server of the registry does not answer, or has an error of its own."""


class Unauthenticated(RegistryError):  # noqa: N818  (reads as what is the case)
    """The server of the registry asks for a user and a password, or does not accept those that are set."""


class UnreadableTag(RegistryError):  # noqa: N818  (reads as what is the case)
    """A tag of a registered version is missing, or holds what it cannot mean."""


class Diverged(Exception):  # noqa: N818  (not the user's error: the grid records it and goes on)
    """A loss or a weight became NaN or infinite."""


class Stopped(Exception):  # noqa: N818  (not an error: somebody asked)
    """Work was asked to stop, and has saved what it had."""

    def __init__(self, exit_code: int = 130) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant.

    Args:
        name: What the user wrote.
        known: The names that exist.

    Returns:
        `; did you mean 'epochs'?`, or the list of known names when none is near.

    >>> nearest("epoch", ["epochs", "losses"])
    "; did you mean 'epochs'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"; known: {', '.join(names[:SHOWN])}{more}"
