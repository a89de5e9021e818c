"""A stage that is sent to another clone comes back by its hash, and nothing else comes back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import exchange, workspaces
from tests.conftest import Project


def done(project: Project, *command: str) -> str:
    ended = project.run(*command)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def hand(project: Project, verb: str, *options: str) -> subprocess.CompletedProcess[str]:
    return project.run(sys.executable, "-m", "pipelines.exchange", verb, "train@unet", *options)


@pytest.fixture
def clones(copy: Project, tmp_path: Path) -> tuple[Project, Project]:
    """A conductor's clone in which a training has to run, and a worker's; both know a DVC remote and an origin."""
    done(copy, "dvc", "remote", "add", "--default", "shared", str(tmp_path / "remote"))
    done(copy, "git", "commit", "-qam", "A DVC remote")
    done(copy, "dvc", "push", "-q", "prepare")
    done(copy, "git", "clone", "-q", "--bare", ".", str(tmp_path / "origin.git"))
    made = []
    for name in ("conductor", "worker"):
        subprocess.run(["git", "clone", "-q", str(tmp_path / "origin.git"), str(tmp_path / name)], check=True)
        made.append(Project(tmp_path / name))
    conductor, worker = made
    for name, value in (("user.name", "test"), ("user.email", "test@example.com")):
        done(conductor, "git", "config", name, value)
    conductor.change(train={"epochs": 1})
    done(conductor, "dvc", "pull", "-q", "prepare")
    return conductor, worker


@pytest.mark.slow
def test_a_stage_runs_elsewhere_and_its_outputs_come_back(clones: tuple[Project, Project]) -> None:
    conductor, worker = clones
    early = hand(conductor, "accept")
    assert early.returncode == 2
    assert "ran with other inputs than it was sent with" in early.stderr
    sent = hand(conductor, "send", "--run", "r1")
    assert sent.returncode == 0, sent.stderr
    commit, reference = sent.stdout.split()[-1], exchange.reference("r1", "train@unet")
    workspaces.bring(worker.folder, commit, reference)
    done(worker, "git", "checkout", "-q", commit)
    assert "epochs: 1" in (worker.folder / "params.yaml").read_text(), "what is not committed there came along"
    taken = hand(worker, "take")
    assert taken.returncode == 0, taken.stderr
    assert len(taken.stdout.split()[-1]) == 64
    done(worker, "dvc", "repro", "-s", "train@unet")
    assert hand(worker, "answer").returncode == 0
    accepted = hand(conductor, "accept")
    assert accepted.returncode == 0, accepted.stderr
    # Where training would fail, DVC must restore.
    told = done(conductor, "dvc", "repro", "-s", "train@unet")
    assert "is cached - skipping run, checking out outputs" in told
    trials = [Path(project.folder) / "data" / "trials" / "unet" for project in clones]
    left, right = ({path.relative_to(place): path.read_bytes() for path in place.rglob("*.*")} for place in trials)
    assert left == right
    assert left
    workspaces.forget(conductor.folder, reference)
    assert not done(worker, "git", "ls-remote", "origin", reference)


@pytest.mark.slow
def test_what_ran_with_other_inputs_is_not_accepted(clones: tuple[Project, Project]) -> None:
    conductor, worker = clones
    sent = hand(conductor, "send", "--run", "r2")
    commit = sent.stdout.split()[-1]
    workspaces.bring(worker.folder, commit, exchange.reference("r2", "train@unet"))
    done(worker, "git", "checkout", "-q", commit)
    assert hand(worker, "take").returncode == 0
    worker.change(train={"epochs": 2})
    done(worker, "dvc", "repro", "-s", "train@unet")
    assert hand(worker, "answer").returncode == 0
    accepted = hand(conductor, "accept")
    assert accepted.returncode == 2
    assert "ran with other inputs than it was sent with" in accepted.stderr


def test_without_a_dvc_remote_it_is_said_what_is_needed(copy: Project) -> None:
    for verb, options in (("send", ("--run", "r3")), ("accept", ())):
        ended = hand(copy, verb, *options)
        assert ended.returncode == 2
        assert "dvc remote add --default NAME URL" in ended.stderr


def test_a_commit_that_nobody_has_is_said(copy: Project) -> None:
    with pytest.raises(Exception, match="fetch"):
        workspaces.bring(copy.folder, "1" * 40, exchange.reference("r4", "train@unet"))
