"""What `make build` has built: its contents, and what a user does with the wheel in an environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

import degrain
from tests.conftest import ROOT, grainy, save
from tests.core_only import brought, declared, normal

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(1200)]

DIST = ROOT / "dist"
PACKAGE = ROOT / "src" / "degrain"
# Beside the package itself.
IN_SDIST = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "PKG-INFO", ".gitignore"}
MIB = 2**20


@pytest.fixture(scope="module")
def wheel() -> Path:
    (found,) = DIST.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The programs of an environment in which nothing but the wheel was asked for."""
    folder = tmp_path_factory.mktemp("wheel") / "environment"
    make = [ROOT / "scripts" / "make-env", folder, sys.executable, os.environ.get("TORCH_BACKEND", "auto"), wheel]
    subprocess.run(make, cwd=ROOT, check=True)
    yield folder / "bin"
    shutil.rmtree(folder)


def run(installed: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run one of the environment's programs in a folder, without the code of the project."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "DEGRAIN_HOME")}
    return subprocess.run(
        [installed / command[0], *command[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def package_files() -> set[str]:
    """Every file of the package that git tracks, or is about to."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, check=True)
    return {f"degrain/{name}" for name in listed.stdout.splitlines()}


def copied() -> dict[str, str]:
    """Where the wheel holds the files that `degrain init` makes a project of, by their place in the repository."""
    places = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    found = {}
    for source, target in places["force-include"].items():
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", source]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        found |= {name: f"{target}{name.removeprefix(source)}" for name in listed.stdout.splitlines()}
    return found


def test_the_wheel_holds_the_package_whole_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if ".dist-info/" not in name} == package_files() | set(copied().values())
    needed = {"py.typed", "report/template.html", "inference/before_after.html", "shipped/best/weights.safetensors"}
    assert {f"degrain/{name}" for name in needed} <= set(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_sdist_is_the_package_and_its_papers() -> None:
    (sdist,) = DIST.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names == IN_SDIST | {f"src/{name}" for name in package_files()} | set(copied())
    assert sdist.stat().st_size < 5 * MIB


def test_only_the_core_is_installed(installed: Path, tmp_path: Path) -> None:
    program = "import importlib.metadata as m; print(*(one.metadata['Name'] for one in m.distributions()))"
    names = set(map(normal, run(installed, tmp_path, "python", "-c", program).stdout.split()))
    assert {normal(one.name) for one in declared()} <= names
    beyond = {normal(one.name) for extra in ("pipeline", "raw", "team") for one in declared(extra)} - {"degrain"}
    assert not names & beyond
    of_cuda = {name for name in names if name.startswith(("cuda-", "nvidia-", "triton"))}
    assert names - brought(declared()) <= {"degrain", "pip", "setuptools", "wheel"} | of_cuda


def test_a_photograph_is_denoised_by_the_model_that_ships(installed: Path, tmp_path: Path) -> None:
    assert run(installed, tmp_path, "degrain", "--version").stdout == f"degrain {degrain.__version__}\n"
    save(tmp_path / "dot.png", grainy(0, 16, 16))
    save(tmp_path / "photo.jpg", grainy(1, 1024, 1536))
    took = {}
    for name in ("dot.png", "photo.jpg"):
        start = time.monotonic()
        done = run(installed, tmp_path, "degrain", "denoise", name, f"clean-{name}")
        took[name] = time.monotonic() - start
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("model: best\n")
    noisy, clean = (cv2.imread(str(tmp_path / name)) for name in ("photo.jpg", "clean-photo.jpg"))
    assert clean.shape == noisy.shape == (1024, 1536, 3)
    assert cv2.Laplacian(clean, cv2.CV_64F).std() < cv2.Laplacian(noisy, cv2.CV_64F).std() / 2
    sys.stdout.write(
        f"\ndegrain denoise, 1.6 megapixels: {took['photo.jpg']:.1f} s, of which {took['dot.png']:.1f} s are start-up\n"
    )


@pytest.mark.parametrize(
    "command", [["download"], ["report"], ["lineage", "models:/x@champion"], ["tracking-uri"]], ids=lambda one: one[0]
)
def test_a_missing_extra_is_one_line(installed: Path, tmp_path: Path, command: list[str]) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    done = run(installed, tmp_path, "degrain", *command)
    assert done.returncode == 2
    assert re.fullmatch(r"degrain: [a-z]+ is not installed; run: pip install 'degrain\[pipeline\]'\n", done.stderr), (
        done.stderr
    )
