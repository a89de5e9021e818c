"""Single files on a project's DVC remote, of whatever kind that is; what DVC itself keeps there is DVC's to touch."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tenacity import Retrying, retry_if_exception_type, retry_if_not_exception_type, stop_after_delay, wait_exponential

from degrain import files
from degrain.errors import ParamsError
from pipelines.processes import StageFailed

log = logging.getLogger(__name__)

# Seconds for which a remote that refuses is asked again.
PATIENCE = 180.0


class Remote:
    """The default remote of a project.

    Args:
        repo: DVC's own object.

    Raises:
        ParamsError: The project has none.
    """

    def __init__(self, repo: Any) -> None:
        from dvc.config import NoRemoteError

        try:
            remote = repo.cloud.get_remote(command="push")
        except NoRemoteError:
            raise ParamsError(
                "stages on other workers need a DVC remote that all of them reach: dvc remote add --default NAME URL"
            ) from None
        self._fs, self._path = remote.fs, remote.path

    @classmethod
    @contextmanager
    def of(cls, folder: Path) -> Iterator[Self]:
        """Open the remote of the project in a folder."""
        from dvc.repo import Repo

        with Repo(str(folder)) as repo:
            yield cls(repo)

    def _place(self, name: str) -> str:
        return str(self._fs.join(self._path, *name.split("/")))

    def names(self, folder: str) -> list[str]:
        """Return the names of the files below a folder, with the folder; none if there is no such folder."""
        self._fs.fs.invalidate_cache()
        place = self._place(folder)
        if not self._fs.exists(place):
            return []
        return sorted(self._fs.as_posix(self._fs.relpath(found, self._path)) for found in self._fs.find(place))

    def put(self, source: Path, name: str) -> None:
        """Copy a file to the remote; others see it whole or not at all."""
        place = self._place(name)
        self._fs.makedirs(self._fs.parent(place), exist_ok=True)
        # NOTE: an object store replaces objects whole; a folder does not.
        partial = f"{place}.{secrets.token_hex(4)}.partial"
        self._fs.put_file(str(source), partial)
        self._fs.move(partial, place)

    def get(self, name: str, target: Path) -> None:
        """Copy a file from the remote."""
        with files.new_file(target) as partial:
            self._fs.get_file(self._place(name), str(partial))

    def remove(self, folder: str) -> None:
        """Remove all files below a folder."""
        for name in self.names(folder):
            self._fs.remove(self._place(name))


def patiently(action: Callable[[], Any], what: str) -> Any:
    """Do something with a remote, again for some minutes while it refuses.

    Raises:
        StageFailed: It did not get done.
    """
    tries = Retrying(
        # NOTE: each library of a remote has errors of its own.
        retry=retry_if_exception_type(Exception) & retry_if_not_exception_type(ParamsError),
        stop=stop_after_delay(PATIENCE),
        wait=wait_exponential(multiplier=1, max=20),
        before_sleep=lambda tried: log.warning("%s: %s; trying again", what, _reason(tried.outcome)),
        reraise=True,
    )
    try:
        return tries(action)
    except ParamsError:
        raise
    except Exception as error:
        raise StageFailed(f"{what}: {' '.join(str(error).split())[:300]}", mistake=False) from error


def _reason(outcome: Any) -> str:
    return " ".join(str(outcome.exception()).split())[:200] if outcome else ""
