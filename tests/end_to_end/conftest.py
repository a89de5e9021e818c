"""What a run of the pipeline has left, to be changed by tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Project


@pytest.fixture
def workspace(reproduced: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What the stages of the tiny study have left, in a folder of its own."""
    for name in ("data", "results", ".degrain"):
        shutil.copytree(reproduced.folder / name, tmp_path / name)
    shutil.copy(reproduced.folder / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
