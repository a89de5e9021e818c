"""Messages: one line each, whatever the names in them hold."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from degrain import console
from degrain.errors import printable
from degrain.machine import variables
from degrain.params.data import DataParams
from tests.artifacts import records
from tests.conftest import merged, picture, save
from tests.ingest.formats import fixtures
from tests.test_cli import degrain_here, folder

__all__ = ["folder"]

# What could forge a line or steer a terminal, and how it is shown.
HOSTILE = {
    "a\nb": r"a\nb",
    "a\rb": r"a\rb",
    "a\tb": r"a\tb",
    "a\x1b[2Jb": r"a\x1b[2Jb",
    "a\x1b]0;title\x07b": r"a\x1b]0;title\x07b",
    "a\x7fb": r"a\x7fb",
    "a\x9b31mb": r"a\x9b31mb",
    "a\x85b": r"a\x85b",
    "a\u2028b": r"a\u2028b",
    "a\u2029b": r"a\u2029b",
    "a\u202egnp.b": r"a\u202egnp.b",
    "a\u2066b": r"a\u2066b",
    "a\udce9b": r"a\udce9b",
}
FRIENDLY = ["café", "cafe\u0301", "猫", "हिन्दी", "👩\u200d🔬", "क्\u200dष", "a b", "[bold]", "100 %", r"C:\x", "%s"]


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    """degrain's logger; its handlers are put back."""
    log = logging.getLogger("degrain")
    before = log.handlers, log.level, log.propagate
    yield log
    log.handlers, log.level, log.propagate = before


@pytest.mark.parametrize("text", HOSTILE)
def test_what_steers_a_terminal_is_escaped(text: str) -> None:
    assert printable(text) == HOSTILE[text]


@pytest.mark.parametrize("text", FRIENDLY)
def test_letters_of_every_script_stay(text: str) -> None:
    assert printable(text) == text


def logged(monkeypatch: pytest.MonkeyPatch, terminal: bool, *arguments: Any, **options: Any) -> str:
    stream = io.StringIO()
    monkeypatch.setattr(variables, "interactive", lambda: terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(console, "console", Console(file=stream, width=400))
    console.set_up_logging(debug=True)
    logging.getLogger("degrain.x").error(*arguments, **options)
    return stream.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("text", [*HOSTILE, *FRIENDLY])
def test_a_logged_message_is_one_printable_line(monkeypatch: pytest.MonkeyPatch, text: str, terminal: bool) -> None:
    said = logged(monkeypatch, terminal, "%s: %d", text, 3)
    assert said.rstrip().removeprefix("ERROR").strip() == f"{HOSTILE.get(text, text)}: 3"
    assert said.endswith("\n")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_traceback_keeps_its_lines(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    said = logged(monkeypatch, terminal, "x", exc_info=ValueError("a\x1b[2J"))
    assert r"ValueError: a\x1b[2J" in said
    assert "\x1b" not in said


# Names that a file system takes; the last one's bytes are no UTF-8.
NAMES = [name for name in HOSTILE if name.isascii()] + ["a\x85b", "a\u2028b", "a\u202eb", "a\udce9b"]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_file_forges_a_line(folder: Path, name: str) -> None:
    good, bad = f"{name}.png", f"{name}{name}.png"
    save(folder / "in" / "x.png", picture(0)).rename(folder / "in" / good)
    (folder / "in" / bad).write_bytes(b"")
    done = degrain_here(folder, "denoise", "in", "out", "--model", "model")
    shown = printable(name)
    assert_safe(done.stderr)
    assert len(done.stderr.splitlines()) == 3, done.stderr
    assert f"in/{shown}.png -> out/{shown}.png" in done.stderr
    assert f"degrain: in/{shown}{shown}.png " in done.stderr
    for arguments in (["denoise", f"{name}.jpg", "x.png"], ["denoise", f"in/{good}", f"{name}.gone"]):
        done = degrain_here(folder, *arguments, "--model", "model")
        assert_safe(done.stderr)
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("degrain: ")
        assert shown in done.stderr


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "change",
    [
        lambda name: {name: 1},
        lambda name: {"train": {name: 1}},
        lambda name: {"train": {"optimizers": [{"name": "adam", name: 1}]}},
        lambda name: {"data": {"dataset": name}},
        lambda name: {"data": {"dataset": "folder", "path": name}},
        lambda name: {"train": {"models": [name]}},
        lambda name: {"prepare": {"split": {"by": name}}},
        lambda name: {"register": {"name": name}},
    ],
)
def test_no_key_and_no_value_of_a_study_forges_a_line(
    folder: Path, tiny: dict[str, Any], name: str, change: Any
) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump(merged(tiny, change(name))), encoding="utf-8")
    done = degrain_here(folder, "download")
    assert done.returncode == 2
    assert_safe(done.stderr)
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("degrain: ")


@pytest.mark.parametrize("name", [name for name in NAMES if "\udce9" not in name])
def test_no_name_of_a_member_forges_a_line(folder: Path, tiny: dict[str, Any], name: str) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump(merged(tiny, {"data": {"dataset": "fer2013"}})))
    members = {f"train/happy/{name}.jpg": b"", f"train/happy/{name}.txt": b""}
    fixtures.write(folder / "data/raw/fer2013/fer2013.zip", fixtures.raw_zip(*((m, {}) for m in members)))
    records.downloaded(folder / "data/raw/fer2013", DataParams(dataset="fer2013"))
    done = degrain_here(folder, "validate")
    assert done.returncode == 2
    assert_safe(done.stderr)


def assert_safe(text: str) -> None:
    assert printable(text.replace("\n", " ")) == text.replace("\n", " ")
