"""What the tests of fetching share: a badly behaved server, and a data set's folders."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from degrain.artifacts.source import RawFile
from degrain.ingest.fetching.fetch import fetch
from degrain.ingest.fetching.remote import RemoteFile
from degrain.ingest.fetching.retries import Policy
from tests.ingest.fetching.site import Answer, Site

HURRIED = Policy(attempts=3, first_wait=0.01, longest_wait=0.05, connect_timeout=5, read_timeout=5)

DATA = random.Random(1).randbytes(300_000)
OTHER = random.Random(2).randbytes(300_000)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Place:
    """The folders of one project, and a data set called "set" with one file."""

    root: Path

    @property
    def downloads(self) -> Path:
        return self.root / "downloads"

    @property
    def checksums(self) -> Path:
        return self.root / "checksums.json"

    @property
    def part(self) -> Path:
        return self.downloads / "set" / "file.bin.part"

    @property
    def finished(self) -> Path:
        return self.downloads / "set" / "file.bin"

    def fetch(self, *files: RemoteFile, mirror: str | None = None, policy: Policy = HURRIED) -> list[RawFile]:
        return fetch("set", files, self.folder(), self.downloads, self.checksums, mirror, policy)

    def folder(self) -> Path:
        """A new, empty folder, as a stage would make."""
        folder = self.root / f"raw-{len(list(self.root.glob('raw-*')))}"
        folder.mkdir()
        return folder

    def got(self, name: str = "file.bin") -> bytes:
        """What the latest fetch left."""
        return (self.root / f"raw-{len(list(self.root.glob('raw-*'))) - 1}" / name).read_bytes()


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    yield server
    server.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def good() -> Answer:
    """A server at its best."""
    return Answer(DATA, headers={"ETag": '"v1"'})


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the machine that runs the tests must not stand between them and 127.0.0.1."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def remote(*urls: str, **change: Any) -> RemoteFile:
    """The data set's file, with published size and checksum unless the test wants none."""
    known: dict[str, Any] = {"size": len(DATA), "sha256": digest(DATA)}
    return RemoteFile("file.bin", "set/file.bin", urls, **(known | change))


def unpublished(*urls: str) -> RemoteFile:
    """The same without size and checksum."""
    return remote(*urls, size=None, sha256=None)
