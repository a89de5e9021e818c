"""The documentation: generated pages are up to date, quoted messages exist, commands parse, the site builds."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
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


def texts(path: Path) -> list[str]:
    """All texts of a file, with \0 where values are put into them; texts side by side are one."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "\0" for part in node.values]
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def is_said(message: str, said: Sequence[str]) -> bool:
    """Whether the parts of a quoted message between its dots are there: all of them in one text, in that order."""
    parts = [re.escape(part) for part in re.split(r"\.\.\.", message) if part.strip()]
    return any(re.search(".*".join(parts), text, re.DOTALL) for text in said)


SAID = [text for path in SOURCES for text in texts(path)]
QUOTED = re.findall(r"^### `(.*)`$", (DOCS / "faq.md").read_text(), re.MULTILINE)
OF_OTHERS = {"LexerNoViableAltException: data.path=~/photos"}  # Hydra's


def test_the_faq_has_messages() -> None:
    assert len(QUOTED) >= 20
    assert OF_OTHERS < set(QUOTED)
    assert not is_said("data.path: ... is no fodler", SAID)


@pytest.mark.parametrize("message", [message for message in QUOTED if message not in OF_OTHERS])
def test_a_message_that_the_faq_quotes_is_still_in_the_code(message: str) -> None:
    assert is_said(message, SAID)
