"""The Prefect flow: the same graph, a task per stage, on a real Prefect server."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines import graph
from pipelines.processes import Children, StageFailed
from tests.conftest import Project


@pytest.fixture
def copy(reproduced: Project, tmp_path: Path) -> Project:
    shutil.copytree(reproduced.folder, tmp_path / "copy", symlinks=True)
    return Project(tmp_path / "copy")


@pytest.fixture
def as_in_the_environment(monkeypatch: pytest.MonkeyPatch, copy: Project) -> None:
    for name, value in copy.environment().items():
        monkeypatch.setenv(name, value)


def test_the_graph_is_dvcs_own_wherever_it_is_read_from(copy: Project) -> None:
    stages = {stage.name: stage for stage in graph.read(copy.folder)}
    assert list(stages)[:3] == ["download", "validate", "prepare"]
    assert stages["train@unet"].needs == {"prepare"}
    assert stages["evaluate"].needs == {"validate", "prepare", "train@sinha2018", "train@unet"}
    assert list(stages)[-1] == "register"


def test_a_stage_runs_or_says_that_nothing_changed(copy: Project, as_in_the_environment: None) -> None:
    lines: list[str] = []
    with Children(1) as children:
        assert children.reproduce("validate", copy.folder, lines.append, None) is False
        copy.change(validate={"min_std": 1.0})
        assert children.reproduce("validate", copy.folder, lines.append, None) is True
    assert any("12 expectations hold" in line for line in lines)


def test_a_mistake_is_told_from_a_failure_that_may_pass(copy: Project, as_in_the_environment: None) -> None:
    copy.change(validate={"min_std": -1.0})
    with Children(1) as children:
        with pytest.raises(StageFailed, match=r"validate\.min_std is -1\.0") as caught:
            children.reproduce("validate", copy.folder, lambda _: None, None)
        assert caught.value.mistake
        copy.change(validate={"min_std": 3.0})
        with pytest.raises(StageFailed) as caught:
            children.reproduce("validate", copy.folder, lambda _: None, 0.5)
        assert not caught.value.mistake


def test_leaving_stops_what_still_runs(copy: Project, as_in_the_environment: None) -> None:
    import threading
    import time

    copy.change(prepare={"stride": 64}, train={"epochs": 500})
    raised: list[BaseException] = []

    def run(children: Children) -> None:
        try:
            children.reproduce("validate", copy.folder, lambda _: None, None)
            children.reproduce("train@unet", copy.folder, lambda _: None, None)
        except StageFailed as failure:
            raised.append(failure)

    with Children(1) as children:
        thread = threading.Thread(target=run, args=(children,))
        thread.start()
        time.sleep(5)
    thread.join(30)
    assert not thread.is_alive()
    assert len(raised) == 1


@pytest.mark.slow
def test_the_flow_runs_the_graph_and_leaves_artifacts(copy: Project, tmp_path: Path) -> None:
    copy.change(evaluate={"baselines": []})
    script = """
import asyncio, sys
from pipelines.reproduce import reproduce
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness
with prefect_test_harness(server_startup_timeout=90):
    outcomes = reproduce()
    print("OUTCOMES", [(o.stage, o.ran) for o in outcomes])
    with get_client(sync_client=True) as client:
        for artifact in client.read_artifacts() if hasattr(client, "read_artifacts") else []:
            print("ARTIFACT", artifact.key, artifact.type)
        runs = client.read_task_runs()
        print("TASKS", sorted((run.name, run.state.type.value) for run in runs))
"""
    done = copy.run("python", "-c", script, PREFECT_HOME=str(tmp_path / "prefect"))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lines = done.stdout.splitlines()
    (outcomes,) = [line for line in lines if line.startswith("OUTCOMES")]
    for stage in ("download", "validate", "prepare", "train@unet", "train@sinha2018"):
        assert f"('{stage}', False)" in outcomes
    for stage in ("evaluate", "report", "register"):
        assert f"('{stage}', True)" in outcomes
    (tasks,) = [line for line in lines if line.startswith("TASKS")]
    assert tasks.count("COMPLETED") == 8
    artifacts = [line for line in lines if line.startswith("ARTIFACT")]
    assert sorted(artifacts) == ["ARTIFACT ranking table", "ARTIFACT reproduce-summary markdown"]


@pytest.mark.slow
def test_the_flow_ends_with_the_stages_message(copy: Project, tmp_path: Path) -> None:
    copy.change(validate={"min_std": -1.0})
    done = copy.run("python", "-m", "pipelines.reproduce", PREFECT_HOME=str(tmp_path / "prefect"))
    assert done.returncode == 2, done.stdout[-3000:] + done.stderr[-3000:]
    (message,) = [line for line in done.stderr.splitlines() if line.startswith("reproduce: ")]
    assert "validate.min_std is -1.0" in message
