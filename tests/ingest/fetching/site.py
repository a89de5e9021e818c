"""A real web server on 127.0.0.1 that behaves as badly as the test wants."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

OLD = "Mon, 01 Jan 2024 00:00:00 GMT"


@dataclass(frozen=True)
class Answer:
    """How a path is answered.

    Attributes:
        content: The file.
        status: 200 stands for 200, 206 and 416, as the request asks.
        headers: Sent besides the usual ones; they replace those.
        ranges: Whether Range is obeyed.
        if_range: Whether If-Range is obeyed where Range is.
        claim: Content-Length of a whole answer, when it is a lie; None sends none and closes the connection at the end.
        cut: Bytes of the body after which the connection is dropped.
        stall: Bytes of the body after which nothing more comes.
    """

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    if_range: bool = True
    claim: int | None = -1
    cut: int | None = None
    stall: int | None = None

    def but(self, **change: Any) -> Answer:
        return replace(self, **change)


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


class Site:
    """A server; `answers` says per path what the first, second, ... request gets, the last one for ever."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[Request] = []
        self.ending = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def serve(self, path: str, *answers: Answer) -> str:
        self.answers[path] = list(answers)
        return self.url(path)

    def ranges(self) -> list[str | None]:
        """The Range of every request so far."""
        return [request.range for request in self.requests]

    def next_answer(self, path: str) -> Answer:
        answers = self.answers.get(path)
        if not answers:
            return Answer(b"nothing here", 404)
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def close(self) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what this is about."""


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self) -> None:
            path = urlsplit(self.path).path
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            site.requests.append(Request(self.command, self.path, headers, body))
            answer = site.next_answer(path)
            status, extra, content = self._what(answer)
            self.send_response(status)
            for name, value in ({"Content-Type": "application/octet-stream"} | extra | answer.headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self._send(answer, content)

        def _what(self, answer: Answer) -> tuple[int, dict[str, str], bytes]:
            """Status, headers and body."""
            content, size = answer.content, len(answer.content)
            wanted = self.headers.get("Range")
            stale = answer.if_range and self.headers.get("If-Range") not in (
                None,
                answer.headers.get("ETag"),
                answer.headers.get("Last-Modified"),
            )
            if answer.status == 200 and wanted and answer.ranges and not stale:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= size:
                    return 416, {"Content-Range": f"bytes */{size}", "Content-Length": "0"}, b""
                rest = content[start:]
                return (
                    206,
                    {"Content-Range": f"bytes {start}-{size - 1}/{size}", "Content-Length": str(len(rest))},
                    rest,
                )
            if answer.claim is None:
                return answer.status, {"Connection": "close"}, content
            return answer.status, {"Content-Length": str(size if answer.claim < 0 else answer.claim)}, content

        def _send(self, answer: Answer, content: bytes) -> None:
            if answer.stall is not None and answer.stall < len(content):
                self.wfile.write(content[: answer.stall])
                self.wfile.flush()
                site.ending.wait(20)
                self.close_connection = True
            elif answer.cut is not None and answer.cut < len(content):
                self.wfile.write(content[: answer.cut])
                self.close_connection = True
            else:
                self.wfile.write(content)
                self.close_connection = self.close_connection or answer.claim != -1

    return Handler
