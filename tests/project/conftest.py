"""What the tests of projects share: a user of git, images, and a project that is made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from degrain.project import creation
from tests.conftest import picture, save


@pytest.fixture(scope="session", autouse=True)
def identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Settings of git's user, who is none of this machine's."""
    settings = tmp_path_factory.mktemp("git") / "config"
    settings.write_text("[user]\n    name = test\n    email = test@example.com\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(settings))
        patch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
        yield


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures."""
    folder = tmp_path_factory.mktemp("images") / "Meine Fotos ä"
    for seed in range(8):
        save(folder / f"{seed}.png", picture(seed))
    return folder


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory, images: Path) -> creation.Created:
    """A new project of these pictures, which no test changes."""
    return creation.create(tmp_path_factory.mktemp("project") / "Mein Projekt ö", "photos", images)


@pytest.fixture
def project(tmp_path: Path, made_once: creation.Created) -> Path:
    """A copy of it, to be changed."""
    return shutil.copytree(made_once.folder, tmp_path / "project", symlinks=True)
