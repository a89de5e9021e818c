"""A reproduced project of one's own, a Prefect server, and waiting for what other processes do."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from degrain.programs.leashed import let_go, started
from pipelines import addresses
from tests.conftest import Project, clone

# A run that waits for the place of another one asks again soon; Prefect's server says half a minute.
SOON = {"PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "2"}


@pytest.fixture
def copy(reproduced: Project, tmp_path: Path) -> Project:
    """A copy of the project in which everything is up to date, committed."""
    shutil.copytree(reproduced.folder, tmp_path / "copy", symlinks=True)
    project = Project(tmp_path / "copy")
    for command in (("git", "add", "-A"), ("git", "commit", "-qm", "reproduced")):
        project.run(*command)
    return project


@pytest.fixture
def small(tmp_path: Path) -> Project:
    """A DVC project of one stage, which copies a parameter, in a git repository with one commit."""
    project = Project(tmp_path / "small")
    stage = {"cmd": "cp params.yaml made.txt", "deps": ["params.yaml"], "outs": ["made.txt"]}
    project.folder.mkdir()
    (project.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"made": stage}}))
    (project.folder / "params.yaml").write_text("number: 1\n")
    (project.folder / ".gitignore").write_text("/.degrain/\n/made.txt\n")
    for command in (
        ("git", "init", "-q", "-b", "main"),
        ("git", "config", "user.name", "test"),
        ("git", "config", "user.email", "test@example.com"),
        ("dvc", "init", "-q"),
        ("dvc", "config", "core.analytics", "false"),
    ):
        assert project.run(*command).returncode == 0
    commit(project)
    return project


@pytest.fixture
def quick(tmp_path: Path, tiny: dict[str, Any]) -> Project:
    """The project with its code and a study, whose graph is one stage that copies the parameters; nothing has run."""
    (tmp_path / "quick").mkdir()
    project = clone(tmp_path / "quick", tiny)
    stage = {"cmd": "cp params.yaml data/made.txt", "deps": ["params.yaml"], "outs": ["data/made.txt"]}
    (project.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"made": stage}}))
    commit(project)
    return project


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the API of a Prefect server, which the tests of a file share."""
    home, port = tmp_path_factory.mktemp("server"), addresses.free_port()
    address = f"http://127.0.0.1:{port}/api"
    command = addresses.prefect("server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui")
    with (home / "log").open("wb") as output:
        server = started(command, home, {"PREFECT_HOME": str(home), **SOON}, output)
    try:
        with httpx.Client() as client:

            def answers() -> bool:
                try:
                    return client.get(f"{address}/health").is_success
                except httpx.HTTPError:
                    return False

            assert until(answers, 120), (home / "log").read_text()[-2000:]
        yield address
    finally:
        let_go(server)
        server.wait(30)


def commit(project: Project, message: str = "a change") -> str:
    """Commit all that there is; returns the commit."""
    for command in (("git", "add", "-A"), ("git", "commit", "-qm", message)):
        done = project.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    return project.run("git", "rev-parse", "HEAD").stdout.strip()


def until(true: Callable[[], object], seconds: float = 60) -> bool:
    """Wait until something is true; tell whether it became so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.1)
    return bool(true())


def running(text: str) -> list[int]:
    """Processes whose command line or environment mentions a text, such as a folder's name."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            told = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
            ended = (place / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if text.encode() in told and not ended:
            found.append(int(place.name))
    return found
