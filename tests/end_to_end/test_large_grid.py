"""A grid of 42 trials of which one diverges and one is killed whenever it starts: the other 40 are done."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, Project, clone, merged

VICTIM = "sinha2018-adam-huber"


class Killer(threading.Thread):
    """Kills the process that trains one trial, whenever there is one, as the kernel does when memory runs out."""

    def __init__(self, ledger: Path) -> None:
        super().__init__(daemon=True)
        self._ledger, self.kills, self.over = ledger, set[int](), False

    def run(self) -> None:
        while not self.over:
            time.sleep(0.02)
            for path in self._ledger.glob("*.unfinished/trial.json"):
                with suppress(OSError, ValueError):
                    trial = json.loads(path.read_text())
                    if trial["name"] == VICTIM and trial["pid"] not in self.kills:
                        os.kill(trial["pid"], signal.SIGKILL)
                        self.kills.add(trial["pid"])


def gallery(name: str) -> dict[str, Any]:
    """A study of the gallery, as plain data."""
    base, study = (yaml.safe_load((ROOT / "conf" / path).read_text()) for path in ("base.yaml", f"study/{name}.yaml"))
    return merged(base, study)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_grid_of_42_with_a_diverging_and_a_crashing_cell(tmp_path: Path) -> None:
    short = {
        "prepare": {"stride": 192, "whole_images": 1},
        "train": {"epochs": 1, "patches_per_epoch": 24},
        "evaluate": {"baselines": ["gaussian"], "bootstrap": 100},
    }
    project = clone(tmp_path / "project", merged(gallery("optimizers-losses"), short))
    killer = Killer(project.folder / ".degrain" / "trials")
    killer.start()
    done = project.run("dvc", "repro", timeout=590)
    killer.over = True
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(killer.kills) == 2
    assert "40 of 42 trials are done" in done.stdout + done.stderr

    table = json.loads(project.run("degrain", "trials", "--json").stdout)
    states = {row["name"]: row["state"] for row in table}
    bad = {name: state for name, state in states.items() if state != "done"}
    assert len(states) == 42
    assert bad == {VICTIM: "failed", "sinha2018-sgd-mape": "diverged"}
    assert project.run("degrain", "trials").returncode == 1
    assert len(json.loads(project.read("results/metrics.json"))["trials"]) == 40
    report = project.read("results/report.html").decode()
    assert "40 of 42 trials are done" in report
    assert f"{VICTIM} failed: given up after 2 failures" in report
    assert "sinha2018-sgd-mape diverged: the loss became" in report

    again = free_resume(project)
    assert again.count("already trained") == 40
    assert again.count("not tried again") == 2


def free_resume(project: Project) -> str:
    """Run the stage again; return what it said. No trial's entry may change."""
    entries = sorted((project.folder / ".degrain" / "trials").glob("*/trial.json"))
    before = [path.read_bytes() for path in entries]
    done = project.run("dvc", "repro", "-f", "-s", "train@sinha2018")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.read_bytes() for path in entries] == before
    return done.stdout + done.stderr
