"""Servers of a team as they really are, each a process of its own on loopback that a test can kill and start again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pipelines.addresses import free_port
from tests.pipelines import conftest

HOST = "127.0.0.1"


def until(true: Callable[[], object], seconds: float, what: str = "it did not come true") -> None:
    """Wait until something is true."""
    assert conftest.until(true, seconds), f"{what}, within {seconds:g} s"


class Process:
    """A server or worker.

    Args:
        command: Program and arguments.
        log: File that gets its output.
        environment: All of its variables.
        folder: Where it runs.
        answers: Tells whether it is ready.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        folder: Path,
        answers: Callable[[], object] = lambda: True,
    ) -> None:
        self._command, self._log, self._environment, self._folder = command, log, environment, folder
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until(self._ready, 120, f"{self._command[0]} did not answer; see {self._log}")

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self._command[0]} ended; see {self._log}"
        with suppress(Exception):
            return bool(self._answers())
        return False

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it, and wait until it is gone."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number) if number == signal.SIGKILL else self._process.send_signal(number)
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        self._process = None

    def output(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


class Door:
    """A port that leads to another one, and that can be shut: then connections are refused, and open ones cut.

    Args:
        inner: The other port.
    """

    def __init__(self, inner: int) -> None:
        self.port, self._inner = free_port(), inner
        self._server: socketserver.ThreadingTCPServer | None = None
        self._open: set[socket.socket] = set()
        self.open()

    def open(self) -> None:
        door = self

        class Through(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError), socket.create_connection((HOST, door._inner)) as behind:
                    door._open |= {self.request, behind}
                    back = threading.Thread(target=_pump, args=(behind, self.request), daemon=True)
                    back.start()
                    _pump(self.request, behind)
                    back.join()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads, block_on_close = True, True, False

        self._server = Server((HOST, self.port), Through)
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def shut(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class Hook:
    """A webhook: it keeps what it is sent."""

    def __init__(self) -> None:
        self.told: list[str] = []
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def heard(self, *words: str) -> bool:
        """Whether one message has all of these words."""
        return any(all(word in text for word in words) for text in self.told)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Postgres(Process):
    """PostgreSQL in a folder of its own, with a database for each of some names; as root, by its own user.

    Args:
        folder: A new one.
        environment: All of its variables.
        databases: Names.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], databases: Sequence[str]) -> None:
        self.port = free_port()
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        found = shutil.which("initdb") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), None)
        assert found, "PostgreSQL is not installed; on Debian and Ubuntu: apt-get install postgresql"
        self._programs = Path(found).resolve().parent
        folder.mkdir()
        if self._as:
            shutil.chown(folder, "postgres")
        data = str(folder / "data")
        self._run("initdb", "-D", data, "-U", "degrain", "--auth", "trust", "--no-sync")
        options = f"-p {self.port} -h {HOST} -k {folder} -c fsync=off"
        command = [*self._as, str(self._programs / "postgres"), "-D", data, *options.split()]
        super().__init__(command, folder.parent / "postgres.log", environment, folder, self._answers_)
        self.start()
        for name in databases:
            self._run("createdb", "-h", HOST, "-p", str(self.port), "-U", "degrain", name)

    def _answers_(self) -> bool:
        self._run("psql", "-h", HOST, "-p", str(self.port), "-U", "degrain", "-c", "select 1", "postgres")
        return True

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as, str(self._programs / program), *arguments], cwd="/", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def end(self, number: int = signal.SIGINT) -> None:
        """SIGINT is its fast way to end: it cuts connections."""
        if self._process and self._as and number != signal.SIGKILL:
            # NOTE: runuser does not pass it on.
            inner = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            for child in inner or [str(self._process.pid)]:
                os.kill(int(child), number)
            self._process.wait(40)
            self._process = None
        super().end(number)

    def restart(self, pause: float = 0) -> None:
        self.end()
        time.sleep(pause)
        self.start()
