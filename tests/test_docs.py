"""The documentation: generated pages are up to date, quoted messages exist, commands parse, the site builds."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from scripts import reference_pages

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
SAID.append((ROOT / "scripts" / "make-env").read_text())
QUOTED = re.findall(r"^### `(.*)`$", (DOCS / "faq.md").read_text(), re.MULTILINE)
IN_TUTORIALS = {
    message
    for page in PAGES
    if page.parent.name == "tutorials" or page.name == "start.md"
    for message in re.findall(r"^\| `([^`]*\.\.\.[^`]*)`", page.read_text(), re.MULTILINE)
}
OF_OTHERS = {"LexerNoViableAltException: data.path=~/photos"}  # Hydra's


def test_the_faq_has_messages() -> None:
    assert len(QUOTED) >= 20
    assert set(QUOTED) > OF_OTHERS
    assert not is_said("data.path: ... is no fodler", SAID)


@pytest.mark.parametrize("message", sorted({*QUOTED, *IN_TUTORIALS} - OF_OTHERS))
def test_a_quoted_message_is_still_in_the_code(message: str) -> None:
    assert is_said(message, SAID)


def changes(page: Path) -> list[list[str]]:
    """What follows -S in each command of a page's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    commands = [shlex.split(line, comments=True) for block in blocks for line in block.replace("\\\n", "").splitlines()]
    return [[after for option, after in pairwise(words) if option == "-S"] for words in commands if "-S" in words]


@pytest.mark.parametrize("page", [page for page in PAGES if changes(page)], ids=lambda page: page.stem)
def test_hydra_understands_the_changes_of_its_commands(page: Path) -> None:
    """It refuses a tilde, which the shell leaves as it is."""
    studies = {path.stem for path in (ROOT / "conf" / "study").glob("*.yaml")}
    for change in changes(page):
        for one in OverridesParser.create().parse_overrides([text.replace("$HOME", "/home") for text in change]):
            if one.key_or_group == "study":
                assert set(str(one.value()).split(",")) <= studies | {"my-grid"}, change


def test_nobody_is_told_to_write_a_tilde_that_hydra_refuses() -> None:
    telling = [*(ROOT / "conf" / "study").glob("*.yaml"), *PAGES, *SOURCES]
    assert {path.name for path in telling if "data.path=~" in path.read_text()} == {"faq.md"}


def test_pages_that_files_name_exist() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = {
        (name, page)
        for name in listed.split("\0")
        if Path(name).suffix in {".py", ".yaml", ".yml", ".md", ".toml", ".example"} and (ROOT / name).is_file()
        for page in re.findall(r"\bdocs/[\w/-]+\.md", (ROOT / name).read_text())
    }
    assert {name for name, _ in named} >= {"README.md", "dvc.yaml"}
    assert [both for both in sorted(named) if not (ROOT / both[1]).is_file()] == []


def built(project: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Build a project's site."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    done = built(ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert {tmp_path / "tutorials/own-photos.html", tmp_path / "repository/conf/study/best.yaml.html"} < set(pages)
    loaded = re.compile(
        r"<(?:script|img|iframe)[^>]*src=\"([^\"]*)\"|<link[^>]*rel=\"(?:stylesheet|icon)\"[^>]*href=\"([^\"]*)\""
    )
    assert not [found for page in pages for found in loaded.findall(page.read_text()) if "//" in "".join(found)]


def test_dead_links_and_anchors_are_refused(tmp_path: Path) -> None:
    for name in ("docs", "scripts", "conf"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.json", "__pycache__"))
    for path in (ROOT / "mkdocs.yml", *ROOT.glob("*.md"), ROOT / "LICENSE"):
        shutil.copy(path, tmp_path)
    with (tmp_path / "docs" / "faq.md").open("a") as page:
        page.write("\n[a](training.md#nowhere) [b](../conf/study/none.yaml) [c](nothing.md)\n")
    done = built(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert all(name in done.stderr for name in ("nowhere", "none.yaml", "nothing.md"))
