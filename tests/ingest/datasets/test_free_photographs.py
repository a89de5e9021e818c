"""The free photographs: the table, the archive as it is unpacked, and the script that makes it."""

from __future__ import annotations

import csv
import hashlib
import io
import runpy
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from degrain import files
from degrain.artifacts.source import SOURCE, RawFile, Source
from degrain.errors import DataError
from degrain.ingest.datasets import free_photographs
from degrain.ingest.datasets.free_photographs import ARCHIVE, FREE_PHOTOGRAPHS, TABLE, Photograph, photographs
from degrain.params.study import Params
from tests.conftest import MIRROR, ROOT, picture, save
from tests.ingest.datasets.test_catalog import composed, needs_mirror
from tests.ingest.formats import fixtures

SCRIPT = ROOT / "scripts" / "free-photographs"
MADE_BY = runpy.run_path(str(SCRIPT))
VERSIONS: dict[str, str] = MADE_BY["VERSIONS"]
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb, of Debian and its kin")


def rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[RawFile]:
    """An archive of two small pictures, as it was downloaded, and a table of them."""
    members = {f"photographs/{name}.jpg": fixtures.encoded(picture(i), "JPEG") for i, name in enumerate("ab")}
    table = tuple(
        Photograph(name, hashlib.sha256(content).hexdigest(), "CC0-1.0", f"the one of {name}")
        for name, content in members.items()
    )
    monkeypatch.setattr(free_photographs, "photographs", lambda: table)
    path = fixtures.write(tmp_path / ARCHIVE, fixtures.zipped({**members, "photographs/LICENCES.csv": b"file"}))
    return [RawFile(file=ARCHIVE, bytes=path.stat().st_size, sha256=files.sha256(path), origin="DEGRAIN_MIRROR/x.zip")]


def unpack(folder: Path, fetched: list[RawFile]) -> list[RawFile]:
    assert FREE_PHOTOGRAPHS.unpack is not None
    return FREE_PHOTOGRAPHS.unpack(folder, fetched)


def test_every_picture_has_a_name_a_checksum_a_photographer_and_a_licence() -> None:
    assert len(photographs()) == 35
    assert len({one.file for one in photographs()}) == len({one.sha256 for one in photographs()}) == 35
    for one in photographs():
        assert one.member == f"photographs/{one.file}"
        assert len(one.sha256) == 64
        assert one.credit
        assert "see" not in one.credit
        assert one.licence.startswith(("CC0-", "CC-BY-", "LGPL-", "GPL-"))


def test_each_picture_is_recorded_with_credit_and_licence(tmp_path: Path, fetched: list[RawFile]) -> None:
    records = unpack(tmp_path, fetched)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "b.jpg"]
    assert [(one.file, one.licence, one.credit) for one in records] == [
        ("a.jpg", "CC0-1.0", "the one of photographs/a.jpg"),
        ("b.jpg", "CC0-1.0", "the one of photographs/b.jpg"),
    ]
    for one in records:
        assert files.sha256(tmp_path / one.file) == one.sha256
        assert (tmp_path / one.file).stat().st_size == one.bytes
        assert one.origin == f"DEGRAIN_MIRROR/x.zip::photographs/{one.file}"


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"photographs/a.jpg": b"another"}, "photographs/a.jpg is not the pinned picture"),
        ({"a.jpg": b"another"}, "has no member 'photographs/a.jpg'"),
    ],
)
def test_an_archive_of_other_pictures_is_refused(
    tmp_path: Path, fetched: list[RawFile], members: dict[str, bytes], words: str
) -> None:
    fixtures.write(tmp_path / ARCHIVE, fixtures.zipped(members))
    with pytest.raises(DataError, match=words):
        unpack(tmp_path, fetched)


@needs_mirror
def test_the_table_is_that_of_the_archive() -> None:
    with zipfile.ZipFile(MIRROR / FREE_PHOTOGRAPHS.files[0].mirror) as archive:
        inside = list(csv.DictReader(io.StringIO(archive.read("photographs/LICENCES.csv").decode())))
        assert [{key: row[key] for key in inside[0]} for row in rows()] == inside
        for row in rows():
            assert hashlib.sha256(archive.read(row["file"])).hexdigest() == row["sha256"]


@needs_mirror
def test_the_script_packs_the_pinned_pictures_into_the_pinned_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(MIRROR / FREE_PHOTOGRAPHS.files[0].mirror) as archive:
        MADE_BY["write"](tmp_path / ARCHIVE, rows(), [archive.read(row["file"]) for row in rows()])
    assert files.sha256(tmp_path / ARCHIVE) == FREE_PHOTOGRAPHS.files[0].sha256


def test_the_packages_of_the_table_are_those_of_the_script() -> None:
    assert {row["debian_package"] for row in rows()} == set(VERSIONS)


def test_a_picture_is_shrunk_as_the_table_says(tmp_path: Path) -> None:
    made = MADE_BY["shrunk"](save(tmp_path / "large.png", picture(0, 160, 240)), 120, 80)
    with Image.open(io.BytesIO(made)) as image:
        assert image.size == (120, 80)
        assert [sampling[1:3] for sampling in image.layer] == [(1, 1)] * 3


@needs_mirror
@pytest.mark.slow
def test_the_photographs_become_a_store(run_stages: Callable[..., Params]) -> None:
    run_stages(composed("free-photographs"), "download", "validate", "prepare")
    record = Source.read(Path("data/raw/free-photographs") / SOURCE)
    assert {(one.file, one.credit, one.licence) for one in record.files} == {
        (one.file, one.credit, one.licence) for one in photographs()
    }
    table = pd.read_parquet("data/validated/manifest.parquet")
    assert len(table) == 35
    assert not table["quarantined"].any()


def packages(folder: Path, versions: dict[str, str]) -> Path:
    """Debian packages with small pictures in the places of the photographs."""
    for seed, row in enumerate(rows()):
        save(folder / row["debian_package"] / row["path_in_package"], picture(seed))
    for name, version in versions.items():
        control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n"
        fixtures.write(folder / name / "DEBIAN" / "control", control.encode())
        made = folder / f"{name}_{version.replace(':', '%3a')}_all.deb"
        subprocess.run(["dpkg-deb", "-b", "-Znone", folder / name, made], check=True, capture_output=True)
    return folder


def script(*arguments: object) -> str:
    """What the script says when it refuses."""
    done = subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], check=False, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    return done.stderr.strip()


@needs_dpkg
def test_the_script_writes_no_archive_of_other_pictures(tmp_path: Path) -> None:
    said = script(tmp_path / "made.zip", "--packages", packages(tmp_path / "debs", VERSIONS))
    assert said.startswith(
        "35 of 35 pictures have other bytes than the pinned ones, such as Bridge_by_Sander_Klootwijk"
    )
    assert not (tmp_path / "made.zip").exists()


@needs_dpkg
def test_the_script_takes_no_other_version_of_a_package(tmp_path: Path) -> None:
    folder = packages(tmp_path / "debs", VERSIONS | {"mate-backgrounds": "1.28.0-1"})
    said = script(tmp_path / "made.zip", "--packages", folder)
    assert said == f"{folder} holds no mate-backgrounds of version 1.26.0-1, only 1.28.0-1"
    said = script(tmp_path / "made.zip", "--packages", tmp_path)
    assert said == f"{tmp_path} holds no mate-backgrounds of version 1.26.0-1"
