"""The files by which people and services find their way: valid, and true of the project."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

import degrain
from tests.conftest import BIN, ROOT


@pytest.mark.parametrize(
    ("schema", "file"),
    [("vendor.github-workflows", ".github/workflows/ci.yml"), ("vendor.citation-file-format", "CITATION.cff")],
)
def test_it_is_of_its_schema(schema: str, file: str) -> None:
    subprocess.run([BIN / "check-jsonschema", "--builtin-schema", schema, ROOT / file], check=True)


def test_the_citation_is_of_this_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == degrain.__version__
    assert (ROOT / "LICENSE").read_text().startswith(f"{citation['license']} License")


@pytest.mark.parametrize("file", ["CONTRIBUTING.md", ".ci/run", ".github/workflows/ci.yml", "README.md"])
def test_its_make_targets_exist(file: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"(?:^|`|run: )make ([a-z-]+)", (ROOT / file).read_text(), re.M))
    assert named
    assert named <= targets
