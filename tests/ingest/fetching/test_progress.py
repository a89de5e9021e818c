"""What a person sees of a transfer at a terminal, and what a log holds elsewhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

CODE = """
import time
from degrain import console
console.set_up_logging()
with console.transfer("downloading x.zip", None) as show:
    for done in (60_000_000, 80_000_000, 0, 90_000_000):
        show(done, 100_000_000)
        time.sleep(0.15)
"""


def test_a_terminal_shows_bytes_and_the_part_that_was_there() -> None:
    ours, theirs = pty.openpty()
    variables = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    child = subprocess.Popen([sys.executable, "-c", CODE], stderr=theirs, env=variables)
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk
    except OSError:
        pass  # how Linux says that the other side has closed its terminal
    os.close(ours)
    assert child.wait(timeout=30) == 0
    for shown in (b"downloading x.zip", b"60.0/100.0 MB", b"80.0/100.0 MB", b"90.0/100.0 MB"):
        assert shown in seen


def test_elsewhere_two_lines_are_enough() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=30)
    first, last = done.stderr.splitlines()
    assert first == "downloading x.zip: 40.0 MB to go"
    assert last.startswith("downloading x.zip: 90.0 MB in ")
