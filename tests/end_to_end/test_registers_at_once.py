"""Several processes that register one study at the same time leave what one of them would."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

from tests.conftest import Project

PROCESSES = 3


@pytest.mark.slow
@pytest.mark.parametrize("store", ["new", "old"])
def test_nothing_is_doubled(reproduced: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    copy = Project(tmp_path / "copy")
    shutil.copytree(reproduced.folder, copy.folder, symlinks=True)
    if store == "new":
        shutil.rmtree(copy.folder / ".degrain" / "mlflow")
    copy.change(register={"name": "at-once"})
    started = [
        subprocess.Popen(
            ["degrain", "register"],
            cwd=copy.folder,
            env=copy.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    printed = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0] * PROCESSES, printed
    monkeypatch.chdir(copy.folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        from degrain.registry import tracking

        with tracking.connect() as client:
            runs = client.search_runs([tracking.experiment(client, "at-once")])
            versions = client.search_model_versions("name = 'at-once'")
    assert len([run for run in runs if "mlflow.parentRunId" not in run.data.tags]) == 1
    assert len(runs) == 1 + 4
    assert len(versions) <= 1
