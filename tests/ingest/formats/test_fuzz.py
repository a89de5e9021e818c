"""Bent files: an error of one line, or the pixels that an independent reader sees; no crash and no hang."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.ingest.formats.bent import KINDS

# Twenty-four thousand in all; each kind in parts, so that two processes share them.
INPUTS, PARTS = 3000, 2


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", KINDS)
def test_bent_files_are_refused_or_read_as_others_read_them(kind: str, part: int) -> None:
    count = INPUTS // PARTS
    command = [sys.executable, "-m", "tests.ingest.formats.bent", kind, str(part * count), str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 0, f"{kind}, {last}: {done.stderr[-800:]}"
    assert last.startswith("done: ")
    accepted = int(last.split()[1])
    assert 0 < accepted < count
