"""The README says what is true."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from scripts.readme_table import update

from tests.conftest import BIN, ROOT, committed

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_table_of_results_is_that_of_the_metrics_in_git() -> None:
    assert update(README, json.loads(committed("results/metrics.json"))) == README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link


def test_the_make_targets_it_names_exist() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE)) <= set(targets)


def test_the_commands_it_names_exist() -> None:
    shown = subprocess.run([str(BIN / "degrain"), "--help"], capture_output=True, text=True, check=True).stdout
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    commands = set(re.findall(r"^degrain ([a-z]+)", blocks, re.MULTILINE))
    assert commands == {
        "check",
        "datasets",
        "denoise",
        "doctor",
        "init",
        "models",
        "rebuild",
        "studies",
        "trials",
        "verify",
    }
    assert all(command in shown for command in commands)


def test_no_machines_path_is_committed() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    homes = re.compile(r"/(home|root|Users)/[a-z]")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.suffix not in (".png", ".webp", ".npz", ".safetensors"):
            assert not homes.search(path.read_text()), name
