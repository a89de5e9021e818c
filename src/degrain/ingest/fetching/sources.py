"""Where a file can be had, in the order to try: the mirror, Kaggle, the web."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from degrain.errors import DownloadError
from degrain.files import is_folder
from degrain.ingest.fetching import http, kaggle_client
from degrain.ingest.fetching.partial import Part
from degrain.ingest.fetching.remote import RemoteFile
from degrain.ingest.fetching.retries import Policy


@dataclass(frozen=True)
class Source:
    """One place.

    Attributes:
        name: What logs and errors call it.
        origin: What records call it: no path of one machine, since they are compared and shared between machines.
        get: Downloads it into a part, and tells whether bytes of an earlier run are in it; or the file itself, where
            it lies in a folder of this machine.
        is_mirror: Whether it may lack the file.
    """

    name: str
    origin: str
    get: Callable[[Part], bool] | Path
    is_mirror: bool = False


def sources(file: RemoteFile, mirror: str | None, policy: Policy) -> list[Source]:
    """List where a file can be had.

    Args:
        file: Which.
        mirror: A folder, or an http or https URL.
        policy: How patiently each place is asked.

    Raises:
        DownloadError: The mirror is a folder that does not exist.
    """
    found = [] if mirror is None else [_at_mirror(file, mirror, policy)]
    if file.kaggle:
        page = kaggle_client.page(file.kaggle)
        get = functools.partial(kaggle_client.download, file.kaggle, expected=file.size, policy=policy)
        found.append(Source(page, page, get))
    return found + [_at_url(url, file, policy) for url in file.urls]


def _at_url(url: str, file: RemoteFile, policy: Policy, is_mirror: bool = False) -> Source:
    name = http.public(url)
    get = functools.partial(http.download, http.Address(url, name), expected=file.size, policy=policy)
    return Source(name, name, get, is_mirror)


def _at_mirror(file: RemoteFile, mirror: str, policy: Policy) -> Source:
    if mirror.startswith(("http://", "https://")):
        return _at_url(f"{mirror.rstrip('/')}/{quote(file.mirror)}", file, policy, is_mirror=True)
    folder = Path(mirror)
    if not is_folder(folder):
        raise DownloadError(f"DEGRAIN_MIRROR={mirror}: there is no such folder")
    path = folder / file.mirror
    return Source(path.as_posix(), f"DEGRAIN_MIRROR/{file.mirror}", path, is_mirror=True)
