"""make test-quick: which tests are near a change, and when it stops."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scripts import quick_tests

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def imports() -> quick_tests.Imports:
    return quick_tests.Imports.read()


@pytest.mark.parametrize(
    ("file", "nearest"),
    [
        ("src/degrain/files.py", "tests/test_files.py"),
        ("src/degrain/patches/preparation.py", "tests/patches/test_preparation.py"),
        ("src/degrain/noise/gaussian.py", "tests/noise/test_noise.py"),
        ("pipelines/graph.py", "tests/pipelines/test_graph.py"),
        ("tests/artifacts/records.py", "tests/artifacts/test_records.py"),
        ("tests/losses/test_losses.py", "tests/losses/test_losses.py"),
        ("README.md", "tests/test_readme.py"),
        ("dvc.yaml", "tests/test_dvc_graph.py"),
        (".github/workflows/ci.yml", "tests/test_community.py"),
    ],
)
def test_the_tests_of_a_file_are_near_it(file: str, nearest: str, imports: quick_tests.Imports) -> None:
    assert quick_tests.near([file], imports)[nearest] <= 1


def test_what_a_change_does_not_concern_is_not_near(imports: quick_tests.Imports) -> None:
    assert "tests/losses/test_losses.py" not in quick_tests.near(["pipelines/graph.py"], imports)
    assert quick_tests.near(["-".join(("no", "test", "names", "this"))], imports) == {}
    assert quick_tests.near([], imports) == {}


def test_the_file_of_the_same_name_is_first(imports: quick_tests.Imports) -> None:
    assert next(iter(quick_tests.near(["src/degrain/patches/splits.py"], imports))) == "tests/patches/test_splits.py"


@pytest.mark.parametrize(("left", "outcome"), [(3600, "1 passed"), (-1, "1 skipped")])
def test_no_test_begins_after_the_deadline(tmp_path: Path, left: float, outcome: str) -> None:
    (tmp_path / "test_one.py").write_text("def test_one(): pass\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "scripts.quick_tests", str(tmp_path / "test_one.py")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", quick_tests.DEADLINE: str(time.time() + left)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (left < 0), done.stdout + done.stderr
    assert outcome in done.stdout
    assert (quick_tests.LATE in done.stdout) == (left < 0)
