"""Folders of real people: images are found, and whatever else lies there is counted or named, never opened."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from degrain.ingest.formats import folders


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def names(found: folders.Found, folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in found.images]


def test_images_of_every_suffix_are_found_and_the_rest_is_counted(tmp_path: Path) -> None:
    images = ["a.jfif", "b.BMP", "c.webp", "d.ppm", "e.jxl", "f.avif", "g.JPG", "h.tiff", "i.png"]
    for name in [*images, "j.txt", "k.mov", "l.MOV", "README", ".hidden.png", "._a.jfif", "Thumbs.db", "sub/x.png"]:
        touch(tmp_path / name)
    found = folders.find(tmp_path, recursive=False)
    assert names(found, tmp_path) == images
    assert found.problems == []
    assert found.told() == (
        "2 .mov files, 1 .txt files, 1 files without suffix, "
        "3 hidden files, and those that systems and programs keep beside images, 1 subfolders"
    )


def test_subfolders_are_looked_into_if_asked_and_those_of_systems_are_not(tmp_path: Path) -> None:
    for name in ("a.png", "sub/b.png", "sub/deep/c.png", "__MACOSX/._a.png", ".git/d.png", "@eaDir/a.png", "out/e.png"):
        touch(tmp_path / name)
    found = folders.find(tmp_path, recursive=True, without=[(tmp_path / "out").resolve()])
    assert names(found, tmp_path) == ["a.png", "sub/b.png", "sub/deep/c.png"]
    assert found.left_out == {folders.HIDDEN: 3}


def test_what_is_no_file_is_named_and_never_opened(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to("nowhere")
    (tmp_path / "linked.png").symlink_to("a.png")
    (tmp_path / "there").symlink_to("folder")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.png"))
        found = folders.find(tmp_path, recursive=True)
    assert names(found, tmp_path) == ["a.png", "linked.png"]
    assert found.problems == [
        f"{tmp_path}/device.png is a device, not a file",
        f"{tmp_path}/gone.png is a link to what does not exist",
        f"{tmp_path}/loop is a link to a folder, which is not followed",
        f"{tmp_path}/pipe.png is a pipe, not a file",
        f"{tmp_path}/s.png is a socket, not a file",
        f"{tmp_path}/there is a link to a folder, which is not followed",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "a.png").chmod(0)
    (tmp_path / "sub").mkdir(mode=0)
    problems = folders.find(tmp_path, recursive=True).problems
    assert problems == [
        f"{tmp_path}/a.png cannot be read: permission denied",
        f"{tmp_path}/sub cannot be read: Permission denied",
    ]


def test_of_a_raw_file_and_the_image_beside_it_the_raw_file_counts(tmp_path: Path) -> None:
    for name in ("IMG_1.DNG", "IMG_1.JPG", "IMG_2.JPG", "IMG_3.nef", "sub/IMG_1.JPG", "IMG_3.jpg", "IMG_3.tif"):
        touch(tmp_path / name)
    found = folders.find(tmp_path, recursive=True)
    assert names(found, tmp_path) == ["IMG_1.DNG", "IMG_2.JPG", "IMG_3.nef", "sub/IMG_1.JPG"]
    assert found.left_out == {folders.PAIRED: 3}


def test_names_of_255_bytes_are_found(tmp_path: Path) -> None:
    for name in ("猫" * 83 + "ab.png", "x" * 251 + ".png"):
        touch(tmp_path / name)
    assert len(folders.find(tmp_path, recursive=False).images) == 2


def test_members_that_systems_put_into_archives_are_left_out() -> None:
    kept = ["a.png", "b/c.png"]
    assert folders.members([*kept, "__MACOSX/._a.png", "b/.DS_Store", "b/Thumbs.db", "._x.png"]) == kept
