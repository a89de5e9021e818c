"""The files by which people and services find their way: valid, and true of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

import degrain
from tests.conftest import BIN, ROOT


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-workflows", ".github/workflows/ci.yml"),
        ("vendor.github-workflows", ".github/workflows/release.yml"),
        ("vendor.citation-file-format", "CITATION.cff"),
    ],
)
def test_it_is_of_its_schema(schema: str, file: str) -> None:
    subprocess.run([BIN / "check-jsonschema", "--builtin-schema", schema, ROOT / file], check=True)


def test_the_citation_is_of_this_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == degrain.__version__
    assert (ROOT / "LICENSE").read_text().startswith(f"{citation['license']} License")


def test_a_release_has_the_notes_of_its_section_alone(tmp_path: Path) -> None:
    steps = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]["build"]["steps"]
    (script,) = [step["run"] for step in steps if "changelog" in step.get("name", "")]
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## Unreleased\n\n- c\n\n## 1.2.0 - 2026\n\n- b\n\n## 1.1.0\n\n- a\n"
    )
    for tag, code, notes in (("v1.2.0", 0, "- b"), ("v1.1.0", 0, "- a"), ("v1.3.0", 1, ""), ("v1.2", 1, "")):
        shutil.rmtree(tmp_path / "notes", ignore_errors=True)
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=tmp_path, env=os.environ | {"GITHUB_REF_NAME": tag}, check=False
        )
        assert done.returncode == code
        assert (tmp_path / "notes" / "changelog.md").read_text().strip() == notes


def test_what_is_checked_before_a_commit_is_what_lint_checks() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    assert lint
    checked = {
        hook["entry"].removesuffix(" --force-exclude") for hook in local["hooks"] if hook["language"] == "system"
    }
    assert checked == {line.strip().removesuffix(" .") for line in lint[1].splitlines() if "ruff" in line}


@pytest.mark.parametrize(
    "file",
    ["CONTRIBUTING.md", ".ci/run", ".github/workflows/ci.yml", ".github/workflows/release.yml", "README.md"],
)
def test_its_make_targets_exist(file: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"(?:^|`|run: )make ([a-z-]+)", (ROOT / file).read_text(), re.M))
    assert named
    assert named <= targets
