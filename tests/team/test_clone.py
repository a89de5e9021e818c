"""A worker's start: its clone is at the newest commit, DVC's remote is the team's, and a health check sees what is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import BIN, ROOT


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    return subprocess.run(
        ["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def start(folder: Path, repository: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "team" / "clone.sh", "git", "rev-parse", "HEAD"],
        env=os.environ
        | {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "DEGRAIN_PROJECT": str(folder),
            "DEGRAIN_REPOSITORY": str(repository),
            "DEGRAIN_BRANCH": "main",
            "DEGRAIN_DVC_BUCKET": "bucket",
            "AWS_ENDPOINT_URL_S3": "http://s3:9000",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_clones_then_follows_the_branch_and_sets_the_remote(tmp_path: Path) -> None:
    origin, folder = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    folder.mkdir()
    git(origin, "init", "--quiet", "--initial-branch", "main")
    (origin / ".dvc").mkdir()
    (origin / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (origin / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    git(origin, "add", ".")
    git(origin, "commit", "--quiet", "--message", "First")

    done = start(folder, origin)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == git(origin, "rev-parse", "HEAD")
    local = (folder / ".dvc" / "config.local").read_text()
    assert "url = s3://bucket" in local
    assert "endpointurl = http://s3:9000" in local
    assert "remote = team" in local
    assert "key" not in local

    git(origin, "commit", "--quiet", "--allow-empty", "--message", "Second")
    done = start(folder, origin)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == git(origin, "rev-parse", "HEAD")
    assert not git(folder, "branch", "--show-current"), "runs can publish to any branch"
    assert not git(folder, "status", "--porcelain")


def test_it_says_what_is_missing(tmp_path: Path) -> None:
    assert "DEGRAIN_REPOSITORY: set it to the address" in start(tmp_path, "").stderr
    assert start(tmp_path, tmp_path / "nowhere").returncode != 0


def test_a_server_that_does_not_answer_is_not_healthy() -> None:
    for arguments in (("http://127.0.0.1:1/health",), ("worker", "cpu")):
        done = subprocess.run(
            [sys.executable, ROOT / "team" / "health.py", *arguments],
            env={"PREFECT_API_URL": "http://127.0.0.1:1/api"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
