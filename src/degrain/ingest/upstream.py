"""What publishers say of their files at present, so that a change is noticed before anything is downloaded again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from urllib.parse import quote

import httpx

from degrain.errors import DownloadError
from degrain.ingest.fetching import kaggle_client
from degrain.ingest.fetching.http import client, public
from degrain.ingest.fetching.remote import RemoteFile, SourceFailed
from degrain.ingest.fetching.retries import Again, Policy


def marks(files: Iterable[RemoteFile], mirror: str | None, policy: Policy) -> dict[str, str]:
    """Ask the publisher of each file what tells its present version from others.

    Args:
        files: Of a data set.
        mirror: DEGRAIN_MIRROR: a folder, or an http or https URL.
        policy: How patiently each place is asked.

    Returns:
        By the file's name, for those of which something can be told: an ETag, or the time of the last change with the
        size; of Kaggle's data sets the address of the version.

    Raises:
        DownloadError: No place of a file answers.
    """
    found = {file.name: _mark(file, mirror, policy) for file in files if mirror or file.urls or file.kaggle}
    return {name: mark for name, mark in found.items() if mark}


def _mark(file: RemoteFile, mirror: str | None, policy: Policy) -> str:
    reasons = []
    for place in _places(file, mirror, policy):
        try:
            return place()
        except (SourceFailed, Again, httpx.HTTPError, OSError) as error:
            reasons.append(str(error) or type(error).__name__)
    raise DownloadError(f"nobody says what {file.name} is at present: {'; '.join(reasons)}")


def _places(file: RemoteFile, mirror: str | None, policy: Policy) -> list[Callable[[], str]]:
    """Where a file can be had, in the order in which it is fetched."""
    found: list[Callable[[], str]] = []
    if mirror and mirror.startswith(("http://", "https://")):
        found.append(partial(_at_url, f"{mirror.rstrip('/')}/{quote(file.mirror)}", policy))
    elif mirror:
        found.append(partial(_at_path, Path(mirror) / file.mirror))
    if file.kaggle:
        found.append(partial(kaggle_client.version, file.kaggle, policy))
    return found + [partial(_at_url, url, policy) for url in file.urls]


def _at_path(path: Path) -> str:
    told = path.stat()
    return f"{told.st_size} bytes, changed {told.st_mtime:.0f}"


def _at_url(url: str, policy: Policy) -> str:
    with client(policy) as asking:
        answer = asking.head(url)
    if not answer.is_success:
        raise SourceFailed(f"{public(url)}: status {answer.status_code}")
    return _told(answer)


def _told(answer: httpx.Response) -> str:
    if etag := answer.headers.get("ETag"):
        return f"ETag {etag}"
    told = [answer.headers.get("Last-Modified", ""), f"{answer.headers.get('Content-Length', 'unknown')} bytes"]
    return ", ".join(filter(None, told)) if told[0] or "Content-Length" in answer.headers else ""
