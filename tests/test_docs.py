"""The documentation: generated pages are up to date, quoted messages exist, commands parse, the site builds."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import reference_pages

from degrain.studies import gallery
from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md"))
SOURCES = sorted(path for room in ("src/degrain", "pipelines") for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("name", ["cli.md", "records.md"])
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == reference_pages.PAGES[name]()


def test_every_field_of_a_record_is_described() -> None:
    assert "|  |" not in reference_pages.records()
