"""Downloading one URL, and going on where an earlier connection or an earlier run was cut off."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import httpx
from rich.filesize import decimal

from degrain import console
from degrain.errors import DownloadError
from degrain.ingest.fetching import answers, disk
from degrain.ingest.fetching.partial import Part, State
from degrain.ingest.fetching.remote import SourceFailed
from degrain.ingest.fetching.retries import Again, Policy, retrying

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """Where bytes come from.

    Attributes:
        url: What is requested.
        name: What logs, errors and records call it: the same from run to run, and without passwords.
        method: HTTP method.
        headers: Sent along, such as an authorization.
        body: Sent along.
    """

    url: str
    name: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


def public(url: str) -> str:
    """Return a URL without the user and password that it may hold."""
    try:
        return str(httpx.URL(url).copy_with(username=None, password=None))
    except httpx.InvalidURL:
        return url


def download(source: Address, part: Part, expected: int | None, policy: Policy) -> bool:
    """Bring a part to its full length, over as many connections as that takes.

    Args:
        source: Where from.
        part: What an earlier run left of it, if anything; its folder exists.
        expected: Size of the whole in bytes, if it is known.
        policy: How patiently.

    Returns:
        Whether bytes of an earlier run are in it.

    Raises:
        SourceFailed: The source does not give the file. What came stays in the part.
        OutputError: It does not fit on the disk. What came stays in the part.
        DownloadError: The environment names a proxy that cannot be.
    """
    with client(policy) as connection, console.transfer(f"downloading {part.name}", expected) as show:
        transfer = _Transfer(connection, source, part, expected, policy, show)
        while not retrying(policy, source.name)(transfer.connect):
            time.sleep(policy.first_wait)
    part.flush()
    return not transfer.begun


def client(policy: Policy) -> httpx.Client:
    """Return a client that follows redirects, with a policy's timeouts.

    Raises:
        DownloadError: The environment names a proxy that cannot be.
    """
    timeout = httpx.Timeout(policy.read_timeout, connect=policy.connect_timeout)
    try:
        return httpx.Client(follow_redirects=True, timeout=timeout)
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        raise DownloadError(f"the proxy that the environment names cannot be used: {error}") from error


@dataclass
class _Transfer:
    """One file on its way.

    Attributes:
        furthest: Most bytes that were ever there, by which new ground is told from ground covered again.
        begun: Whether the first byte was received here, not in an earlier run.
    """

    client: httpx.Client
    source: Address
    part: Part
    expected: int | None
    policy: Policy
    show: Callable[[int, int | None], None]
    furthest: int = 0
    begun: bool = False

    def connect(self) -> bool:
        """Take what one connection gives.

        Returns:
            True when the file is whole, False when the connection was cut after bytes that were new.

        Raises:
            Again: It was cut, or never came about, and nothing new is there.
            SourceFailed: Asking again is of no use.
        """
        state = self.part.resumable(self.source.name)
        start = self.part.size() if state else 0
        self.furthest = max(self.furthest, start)
        if state and start == state.total:
            return True
        try:
            with self._request(start, state) as response:
                total = self._receive(response, start, state)
        except (httpx.TooManyRedirects, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise SourceFailed(f"cannot be followed: {error}") from error
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise SourceFailed(f"cannot be trusted: {error}") from error
            return self._cut(self._reason(error))
        missing = 0 if total is None else total - self.part.size()
        return self._cut(f"ended {decimal(missing)} early") if missing > 0 else True

    def _request(self, start: int, state: State | None) -> AbstractContextManager[httpx.Response]:
        # NOTE: were the bytes compressed on the way, offsets would not be offsets into the file.
        headers = {**self.source.headers, "Accept-Encoding": "identity"}
        if state:
            headers |= {"Range": f"bytes={start}-", "If-Range": state.validator}
        return self.client.stream(self.source.method, self.source.url, headers=headers, content=self.source.body)

    def _receive(self, response: httpx.Response, start: int, state: State | None) -> int | None:
        """Write a response's bytes; returns the size of the whole, if anybody knows it."""
        if response.status_code == 200:
            return self._from_the_beginning(response)
        if state is None or response.status_code not in (206, 416):
            raise answers.refusal(response, self.policy)
        try:
            return self._rest(response, start, state)
        except Again:
            # NOTE: these bytes are of no use with this source any more; the next attempt begins anew.
            self.part.remove()
            raise

    def _from_the_beginning(self, response: httpx.Response) -> int | None:
        state = answers.whole(response, self.source.name)
        total = self._size(state.total)
        chunks = response.iter_raw()
        beginning = next(chunks, b"")
        # NOTE: whatever speaks against this answer must speak before the bytes of an earlier one are dropped.
        answers.refuse_page(response, beginning)
        self._room(total, self.part.size())
        self.part.begin(state)
        self.begun = True
        self._write(itertools.chain([beginning], chunks), 0, total)
        return total

    def _rest(self, response: httpx.Response, start: int, state: State) -> int | None:
        if response.status_code == 416:
            if answers.nothing_left(response, start, state):
                return self._size(start)
            raise Again("cannot go on where the last connection ended")
        total = self._size(answers.rest(response, start, state))
        self._room(total, start)
        self._write(response.iter_raw(), start, total)
        return total

    def _size(self, told: int | None) -> int | None:
        if None not in (told, self.expected) and told != self.expected:
            raise SourceFailed(f"has {told} bytes, not the {self.expected} that were published")
        return self.expected if told is None else told

    def _room(self, total: int | None, there: int) -> None:
        if total is not None:
            disk.require(total - there, self.part.path.parent, self.part.name)

    def _write(self, chunks: Iterable[bytes], done: int, total: int | None) -> None:
        self.show(done, total)
        self.part.append(self._counted(chunks, done, total))

    def _counted(self, chunks: Iterable[bytes], done: int, total: int | None) -> Iterator[bytes]:
        for chunk in chunks:
            done += len(chunk)
            if total is not None and done > total:
                raise SourceFailed(f"sends more than the {total} bytes that the file should have")
            yield chunk
            self.show(done, total)

    def _cut(self, reason: str) -> bool:
        there = self.part.size()
        if there <= self.furthest:
            raise Again(reason)
        self.furthest = there
        log.info("%s: %s; going on from %s", self.source.name, reason, decimal(there))
        return False

    def _reason(self, error: httpx.TransportError) -> str:
        if isinstance(error, httpx.ReadTimeout):
            return f"sent nothing for {self.policy.read_timeout:g} s"
        if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
            return f"cannot be reached ({error})"
        return f"broke off ({str(error) or type(error).__name__})"
