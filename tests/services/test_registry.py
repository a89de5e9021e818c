"""The registry on PostgreSQL: of two that register at once the better one is the champion, and the journal says how."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from degrain.registry import aliases, journal, tracking
from tests.conftest import ROOT
from tests.services.processes import HOST, Postgres

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]
ROUNDS = 20


def test_of_two_that_register_at_once_the_better_one_is_the_champion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Path("/tmp") / f"degrain-registry-{os.getpid()}"  # where PostgreSQL's user is let in
    base.mkdir(mode=0o755)
    postgres = Postgres(base / "postgres", dict(os.environ), ["mlflow"])
    try:
        uri = f"postgresql+psycopg2://degrain@{HOST}:{postgres.port}/mlflow"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's own
            with tracking.connect() as client:
                client.search_experiments(max_results=1)  # makes the tables
            command = [sys.executable, "-m", "tests.services.registering_at_once"]
            started = [
                subprocess.Popen(
                    [*command, str(me), str(psnr), str(ROUNDS), str(tmp_path)],
                    cwd=tmp_path,  # where models go without a server
                    # Each has a home of its own, as on two machines: only the registry is between them.
                    env=os.environ | {"DEGRAIN_HOME": str(tmp_path / f"home{me}"), "PYTHONPATH": f"{ROOT}/src:{ROOT}"},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                for me, psnr in enumerate((30.0, 31.0))
            ]
            printed = [process.communicate(timeout=500)[0] for process in started]
            assert [process.returncode for process in started] == [0, 0], printed
            with tracking.connect() as client:
                for number in range(ROUNDS):
                    name = f"round-{number}"
                    holder = aliases.current(client, name)
                    assert holder is not None
                    assert holder.tags["degrain.test_psnr"] == "31.0", (number, printed)
                    moves = [(entry.before, entry.version) for entry in journal.read(client, name)]
                    assert moves[-1][1] == str(holder.version)
                    assert [before for before, _ in moves] == [None, *(version for _, version in moves[:-1])]
                left = [model.name for model in client.search_registered_models() if model.name.startswith("_turn")]
            assert left == []
    finally:
        postgres.end()
        subprocess.run(["rm", "-rf", str(base)], check=True)
