"""What is said where a stage cannot be sent; tests/services sends one, on real servers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipelines import exchange, workspaces
from tests.conftest import Project


def hand(project: Project, verb: str, *options: str) -> subprocess.CompletedProcess[str]:
    return project.run(sys.executable, "-m", "pipelines.exchange", verb, "train@unet", *options)


def test_without_a_dvc_remote_it_is_said_what_is_needed(copy: Project) -> None:
    for verb, options in (("send", ("--run", "r3")), ("accept", ())):
        ended = hand(copy, verb, *options)
        assert ended.returncode == 2
        assert "dvc remote add --default NAME URL" in ended.stderr


def test_a_commit_that_nobody_has_is_said(copy: Project) -> None:
    with pytest.raises(Exception, match="fetch"):
        workspaces.bring(copy.folder, "1" * 40, exchange.reference("r4", "train@unet"))
