"""What the tests share: a small study, images of known content, and one project in which the pipeline has run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import settings
from PIL import Image

from degrain.machine import variables

# Before PyTorch is imported: two workers, each with as many threads as there are cores, wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test asserts on time.
settings.register_profile("any speed", deadline=None)
settings.load_profile("any speed")

# Before any test imports a library that calls home; a test that reaches out would be a bug.
variables.switch_off_telemetry()

from degrain.artifacts.validation import Asked  # noqa: E402
from degrain.ingest.datasets import listing, manifest  # noqa: E402
from degrain.ingest.formats.containers import Containers  # noqa: E402
from degrain.params.study import Params  # noqa: E402
from degrain.patches import preparation  # noqa: E402
from degrain.patches.store import PatchStore  # noqa: E402
from degrain.studies import gallery  # noqa: E402

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

# Real images in the layouts of their publishers; tests of them are skipped where DEGRAIN_MIRROR names no folder.
MIRROR = Path(os.environ.get("DEGRAIN_MIRROR") or "no-mirror").resolve()

# The quickstart study, cut down to seconds.
TINY: dict[str, Any] = {
    "study": {"name": "tiny", "title": "Tiny <study> & test"},
    "prepare": {"stride": 192},
    "train": {
        "models": ["sinha2018", "unet"],
        "optimizers": [{"name": "adam", "lr": 0.004, "betas": [0.9, 0.95]}, "adadelta"],
        "losses": ["mse"],
        "epochs": 2,
        "patches_per_epoch": 80,
        "batch_size": 2,
    },
    "evaluate": {"baselines": ["gaussian"], "sharpen": True, "bootstrap": 100},
    "report": {"strips": 3},
    "register": {"name": "tiny"},
}


class Whole(dict[str, Any]):
    """A section that replaces another instead of being laid over it, as noise of another kind must."""


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """The first dictionary with the second laid over it, section by section."""
    result = dict(base)
    for key, value in change.items():
        old = base.get(key)
        both = isinstance(value, dict) and not isinstance(value, Whole)
        result[key] = merged(old, value) if both and isinstance(old, dict) else value
    return result


# Fixtures that take long and that no test changes.
RUNS = {"reproduced", "validated_once", "prepared_once"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that look at the same run belong on the same worker, so that it runs once; these may take longer."""
    for item in items:
        runs = RUNS & set(getattr(item, "fixturenames", ()))
        if (runs or item.get_closest_marker("slow")) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))
        for run in runs:
            item.add_marker(pytest.mark.xdist_group(run))


@pytest.fixture(autouse=True)
def _own_networks_are_forgotten() -> Iterator[None]:
    """Forget what a test has declared by `degrain.register_network`: the catalog is one for the whole process."""
    yield
    if own := sys.modules.get("degrain.api.networks"):
        for name in [name for name, spec in own.catalog.MODELS.items() if isinstance(spec, own.OwnSpec)]:
            del own.catalog.MODELS[name]


@pytest.fixture(scope="session")
def quickstart() -> dict[str, Any]:
    """The study that the project ships, as plain data; params.yaml may hold another one just now."""
    return gallery.compose("quickstart", ROOT / "conf")


@pytest.fixture(scope="session")
def tiny(quickstart: dict[str, Any]) -> dict[str, Any]:
    """A study of seconds, as plain data."""
    return merged(quickstart, TINY)


@pytest.fixture
def make_params(tiny: dict[str, Any]) -> Callable[..., Params]:
    """Typed parameters of the tiny study, with changes: make_params(train={"epochs": 1})."""
    return lambda **change: Params.model_validate(merged(tiny, change))


def with_slow(names: Iterable[str], slow: Collection[str]) -> list[Any]:
    """Names as parameters of tests, some of which are slow."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


def committed(name: str) -> str:
    """A text file as it is in the last commit, since the working folder may hold another study and its results."""
    shown = subprocess.run(["git", "show", f"HEAD:{name}"], cwd=ROOT, capture_output=True, check=True, text=True)
    return shown.stdout


def picture(seed: int, height: int = 96, width: int = 128, channels: int = 3) -> np.ndarray:
    """A smooth image with edges: uint8 (height, width, channels)."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 32
    waves = [np.sin(draw.uniform(0.5, 3) * x + draw.uniform(0.5, 3) * y + draw.uniform(0, 6)) for _ in range(channels)]
    image = 128 + 60 * np.stack(waves, axis=-1)
    image[height // 3 : height // 2, width // 4 : width // 2] = draw.integers(0, 256, channels)
    pixels: np.ndarray = np.clip(image, 0, 255).astype(np.uint8)
    return pixels


def grainy(seed: int, height: int = 96, width: int = 128, sigma: float = 25.0, channels: int = 3) -> np.ndarray:
    """The same with independent Gaussian noise: uint8 (height, width, channels)."""
    noise = sigma * np.random.default_rng((1, seed)).standard_normal((height, width, channels))
    return np.clip(np.rint(picture(seed, height, width, channels) + noise), 0, 255).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write an image with Pillow, not with the code under test."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).save(path)
    return path


def manifest_of(raw: Path) -> pd.DataFrame:
    """The manifest of a folder of images, each a source of its own."""
    names = sorted(path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file())
    listed = listing.table({"path": name, "source": Path(name).stem} for name in names)
    with Containers(raw) as containers:
        return manifest.build(containers, listed)[0]


def prepare(folder: Path, raw: Path, table: pd.DataFrame, params: Params) -> PatchStore:
    """A store in a new folder."""
    folder.mkdir()
    with Containers(raw, "linear") as containers:
        preparation.fill(folder, containers, table, params.prepare, Asked.of(params), "0" * 64)
    return PatchStore.open(folder)


@pytest.fixture
def store(tmp_path: Path, make_params: Callable[..., Params]) -> PatchStore:
    """A prepared store of three generated images."""
    names = ["a", "b", "c"]
    for i, name in enumerate(names):
        save(tmp_path / "raw" / f"{name}.png", picture(i))
    table = manifest_of(tmp_path / "raw")
    params = make_params(
        prepare={"patch_size": 32, "stride": 32, "split": {"val": ["b"], "test": ["c"]}, "min_std": 0.0}
    )
    return prepare(tmp_path / "prepared", tmp_path / "raw", table, params)


@pytest.fixture
def noisy_store(tmp_path: Path, make_params: Callable[..., Params]) -> PatchStore:
    """A prepared store of three generated images that are noisy, and of which no clean ones are known."""
    for i, name in enumerate("abc"):
        save(tmp_path / "only-noisy" / f"{name}.png", grainy(i))
    split = {"val": ["b"], "test": ["c"]}
    prepared = {"patch_size": 32, "stride": 32, "split": split, "min_std": 0.0, "noise": Whole(kind="unknown")}
    table = manifest_of(tmp_path / "only-noisy")
    return prepare(tmp_path / "only-noisy-store", tmp_path / "only-noisy", table, make_params(prepare=prepared))


@pytest.fixture(autouse=True)
def without_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that read from the mirror say so; the others must not find it."""
    monkeypatch.delenv("DEGRAIN_MIRROR", raising=False)


@dataclass(frozen=True)
class Project:
    """A copy of the project in a git repository of its own, in which commands are run as a user would."""

    folder: Path

    def run(self, *command: str, timeout: float = 800, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the environment's programs on the PATH; returns code and output."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def environment(self, **variables: str) -> dict[str, str]:
        """The variables that its commands run with."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_TRACKING", "PREFECT_", "GIT_"))}
        own = self.folder / "src"
        return inherited | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(own if own.is_dir() else ROOT / "src"),
            "COLUMNS": "200",
            **variables,
        }

    def change(self, **change: Any) -> None:
        """Lay changes over its params.yaml."""
        path = self.folder / "params.yaml"
        path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), change), sort_keys=False))

    def read(self, path: str) -> bytes:
        """Read one of its files."""
        return (self.folder / path).read_bytes()


def clone(folder: Path, study: dict[str, Any]) -> Project:
    """Copy what git tracks (and what is about to be) into a new repository, with another study."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and name != "dvc.lock" and not name.startswith("results/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    project = Project(folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    study_file = folder / "conf" / "study" / "tiny.yaml"
    study_file.write_text("# @package _global_\n" + yaml.safe_dump(study, sort_keys=False))
    for command in (
        ("git", "init", "-q", "-b", "main"),
        ("git", "config", "user.name", "test"),
        ("git", "config", "user.email", "test@example.com"),
        ("git", "add", "-A"),
        ("git", "commit", "-qm", "a study"),
    ):
        done = project.run(*command)
        assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def run_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Params]:
    """Run the first stages of a study in an empty folder, with the mirror of data sets.

    Without the stage download, what lies in the folder of the data set counts as downloaded.
    """
    from degrain.stages import RAW, download, prepare, validate
    from tests.artifacts import records

    stages = {"download": download.run, "validate": validate.run, "prepare": prepare.run}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEGRAIN_MIRROR", str(MIRROR))

    def run(made: dict[str, Any], *names: str) -> Params:
        params = Params.model_validate(made)
        if "download" not in names:
            records.downloaded(RAW / params.data.dataset, params.data)
        for name in names:
            stages[name](params)
        return params

    return run


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory, tiny: dict[str, Any]) -> Project:
    """A project in which `dvc repro` has run the tiny study from download to registration."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert "@reproduced" in os.environ["PYTEST_CURRENT_TEST"], "run once by each worker: use --dist loadgroup"
    project = clone(tmp_path_factory.mktemp("reproduced"), tiny)
    done = project.run("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    return project
