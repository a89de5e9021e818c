"""Validate reads what was downloaded for this study, byte by byte, or nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from degrain.artifacts.source import SOURCE
from degrain.errors import DataError
from degrain.ingest.datasets import downloaded
from degrain.params.data import DataParams
from tests.artifacts import records
from tests.conftest import picture, save

FOLDER = DataParams(dataset="folder", path="mine")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A data set of one's own images, as it was downloaded."""
    for seed, name in enumerate(("a.png", "walk/1.png", "walk/2.png")):
        save(tmp_path / "raw" / name, picture(seed))
    records.downloaded(tmp_path / "raw", FOLDER)
    return tmp_path / "raw"


def refused(folder: Path, params: DataParams = FOLDER) -> str:
    with pytest.raises(DataError) as caught:
        downloaded.read(folder, params)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def flipped(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])


def test_what_was_downloaded_is_read_with_its_digests(raw: Path) -> None:
    record, files = downloaded.read(raw, FOLDER)
    assert {name: one.sha256 for name, one in files.files.items()} == {one.file: one.sha256 for one in record.files}
    assert files.sha256 == record.files_sha256


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (Path.unlink, "is missing"),
    "cut": (lambda path: os.truncate(path, 100), "has 100 bytes, not the "),
    "emptied": (lambda path: os.truncate(path, 0), "has 0 bytes, not the "),
    "one bit flipped": (flipped, "is not what was downloaded: its SHA-256 is another"),
    "a folder": (lambda path: (path.unlink(), path.mkdir())[0], "is no file"),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path))[0], "is no file"),
    "a broken link": (lambda path: (path.unlink(), path.symlink_to("gone"))[0], "is missing"),
}


@pytest.mark.parametrize("name", ["a.png", "walk/2.png"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_that_is_not_what_was_downloaded_is_refused_by_name(raw: Path, name: str, damage: str) -> None:
    change, words = DAMAGE[damage]
    change(raw / name)
    said = refused(raw)
    assert said.startswith(f"{raw / name} {words}")
    assert said.endswith("; run: dvc repro -f -s download")


@pytest.mark.parametrize("name", ["b.png", "walk/3.png", "notes.txt", "new/4.png"])
def test_a_file_that_was_not_downloaded_is_refused_by_name(raw: Path, name: str) -> None:
    save(raw / "a.png", picture(0))
    (raw / name).parent.mkdir(exist_ok=True)
    shutil.copy(raw / "a.png", raw / name)
    assert refused(raw) == (
        f"{raw} holds files that were not downloaded: {name}; remove them, or run: dvc repro -f -s download"
    )


@pytest.mark.parametrize("name", [".DS_Store", "walk/._1.png", "Thumbs.db", "@eaDir/1.png"])
def test_what_systems_put_beside_images_is_left_out_and_said(
    raw: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    (raw / name).parent.mkdir(exist_ok=True)
    shutil.copy(raw / "a.png", raw / name)
    with caplog.at_level("WARNING", "degrain"):
        record, _ = downloaded.read(raw, FOLDER)
    assert len(record.files) == 3
    assert "left out: 1 hidden files" in caplog.text
    assert len(own_images(raw)) == 3


def own_images(folder: Path) -> list[str]:
    return list(downloaded.catalog.spec("folder").images(folder, FOLDER)["path"])


@pytest.mark.parametrize(("key", "value"), [("dataset", "pairs"), ("path", "another")])
def test_files_of_another_study_are_refused(raw: Path, key: str, value: str) -> None:
    assert refused(raw, FOLDER.model_copy(update={key: value})).endswith(
        f"raw was downloaded for another data.{key} than the study asks for; run: dvc repro download"
    )


@pytest.mark.parametrize("change", [{"labels": ["x"]}, {"limit": 7}, {"seed": 3}, {"white": 4095}, {"raw": "bayer"}])
def test_what_decides_no_download_asks_for_none(raw: Path, change: dict[str, object]) -> None:
    downloaded.read(raw, FOLDER.model_copy(update=change))


def test_a_link_to_the_same_bytes_is_as_good(raw: Path, tmp_path: Path) -> None:
    (raw / "a.png").rename(tmp_path / "cache")
    (raw / "a.png").symlink_to(tmp_path / "cache")
    downloaded.read(raw, FOLDER)


def test_a_folder_without_record_is_refused(raw: Path) -> None:
    (raw / SOURCE).unlink()
    assert refused(raw) == f"{raw / SOURCE} is missing; run: dvc repro download"


def test_a_file_that_changes_while_it_is_used_is_refused(raw: Path) -> None:
    _, files = downloaded.read(raw, FOLDER)
    content = (raw / "a.png").read_bytes()
    (raw / "a.png").unlink()
    (raw / "a.png").write_bytes(content)
    files.require_unchanged()
    flipped(raw / "a.png")
    with pytest.raises(DataError, match=r"a\.png has changed while it was used; run: dvc repro -f -s download"):
        files.require_unchanged()
