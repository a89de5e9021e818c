"""Time and memory of the stages by the number of images, and of all others by the number of trials.

The images are generated: JPEG files of 32x32 pixels in a zip, as the data set cifar10-images has them, with a spectrum
like that of photographs. Each stage is the command that DVC runs, in a folder of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from benchmarks.common import table
from degrain.studies import gallery

ROOT = Path(__file__).parent.parent
SIDE = 32
# Images that are drawn at once.
BLOCK = 1000
# Thirty cells; the number of trials is that of the cells times the seeds.
OPTIMIZERS = ["adam", "adamax", "nadam", "rmsprop", "sgd"]
LOSSES: list[Any] = ["mse", "mae", "logcosh", "huber", "charbonnier", {"name": "bce", "clip": True}]
CELLS = len(OPTIMIZERS) * len(LOSSES)
# Runs a command, and prints what it took. A process starts with the peak memory of the one that starts it, so that one
# must be small.
TIMER = """
import json, os, sys, time
began = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(child, 0)
unit = 1000 if sys.platform == "linux" else 1_000_000
spent = dict(seconds=time.perf_counter() - began, cpu=used.ru_utime + used.ru_stime, peak_mb=used.ru_maxrss / unit)
print()
print(json.dumps(spent))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def run(images: str | int = "10000,100000", trials: str | int = "30,150,300") -> None:
    """Print the tables.

    Args:
        images: How many, joined by commas; none if 0.
        trials: Likewise; multiples of 30.
    """
    _table("images", images, _of_images)
    _table("trials", trials, _of_trials)


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds, seconds of CPU time, and the largest memory of one of its processes in MB."""

    seconds: float
    cpu: float
    peak_mb: float
    note: str = ""


def _table(what: str, counts: str | int, measure: Callable[[Path, int], dict[str, Cost]]) -> None:
    rows = []
    for count in (int(word) for word in str(counts).split(",")):
        if not count:
            return
        with tempfile.TemporaryDirectory() as folder:
            for step, cost in measure(Path(folder), count).items():
                each = f"{1000 * cost.cpu / count:.3g}"
                peak = f"{cost.peak_mb:.0f}"
                rows.append((f"{count:,}", step, f"{cost.seconds:.1f}", f"{cost.cpu:.1f}", each, peak, cost.note))
        print(f"{count} {what} done", file=sys.stderr, flush=True)
    table((what, "step", "s", "CPU time, s", f"CPU time for each of the {what}, ms", "peak memory, MB", "leaves"), rows)
    print()


def _degrain(folder: Path, *words: str, **variables: str) -> Cost:
    """Run a command in a folder; its output is shown where it fails."""
    own = {"PYTHONPATH": str(ROOT / "src"), "DEGRAIN_HOME": str(folder / ".degrain"), **variables}
    dropped = ("PREFECT_", "MLFLOW_", "DEGRAIN_", "GIT_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)} | own
    done = subprocess.run(
        [sys.executable, "-S", "-c", TIMER, sys.executable, "-m", "degrain", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"degrain {' '.join(words)}: {done.stderr[-4000:]}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _study(folder: Path, name: str, **sections: dict[str, Any]) -> None:
    made = gallery.compose(name, ROOT / "conf")
    for section, change in sections.items():
        made[section] |= change
    (folder / "params.yaml").write_text(yaml.safe_dump(made, sort_keys=False))


def _of_images(folder: Path, count: int) -> dict[str, Cost]:
    """Take generated images through the stages before training."""
    _write_images(folder / "mirror" / "cifar10-images.zip", count)
    split = {"val": 0.1, "test": "published", "overlap": "drop"}
    found = gallery.compose("cifar10-images", ROOT / "conf")["prepare"]["split"] | split
    _study(folder, "cifar10-images", prepare={"split": found}, validate={"on_failure": "quarantine"})
    made = {
        stage: _degrain(folder, stage, DEGRAIN_MIRROR=str(folder / "mirror"))
        for stage in ("download", "validate", "prepare")
    }
    places = {"download": "data/raw", "validate": "data/validated", "prepare": "data/prepared"}
    return {stage: _with(cost, _size(folder / places[stage])) for stage, cost in made.items()}


def _write_images(path: Path, count: int) -> None:
    """Draw images whose amplitudes fall with the frequency, one in ten for the published test part."""
    path.parent.mkdir()
    draw = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for first in range(0, count, BLOCK):
            few = min(BLOCK, count - first)
            levels = {side: draw.standard_normal((few, side, side, 3), np.float32) for side in (2, 4, 8, 16, 32)}
            color = draw.uniform(60, 190, (few, 3)).astype(np.float32)
            for i in range(few):
                # Colors of photographs go together: two thirds of each level are the same in all.
                parts = (
                    cv2.resize(level[i] / 3 + level[i][..., :1], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
                    * 36
                    / side
                    for side, level in levels.items()
                )
                pixels = np.clip(color[i] + sum(parts), 0, 255).astype(np.uint8)
                part = "test" if (first + i) % 10 == 0 else "train"
                name = f"cifar10-images/{part}/frog/{first + i:07}.jpg"
                archive.writestr(name, cv2.imencode(".jpg", pixels)[1].tobytes())


def _of_trials(folder: Path, count: int) -> dict[str, Cost]:
    """Train and compare as many trials, each of four steps."""
    if count % CELLS:
        sys.exit(f"trials: {count} is no multiple of {CELLS}")
    base = gallery.compose("quickstart", ROOT / "conf")
    train = {"models": ["unet"], "optimizers": OPTIMIZERS, "losses": LOSSES, "seeds": list(range(count // CELLS))}
    short = {"epochs": 1, "patches_per_epoch": 16, "batch_size": 4, "warmup_steps": 0}
    _study(
        folder,
        base["study"]["name"],
        prepare={"patch_size": 32, "stride": 128},
        train=train | short,
        evaluate={"baselines": ["gaussian"]},
    )
    for stage in ("download", "validate", "prepare"):
        _degrain(folder, stage)
    made = {
        "train": _degrain(folder, "train", "--model", "unet"),
        "train again, all in the ledger": _degrain(folder, "train", "--model", "unet"),
        "evaluate": _degrain(folder, "evaluate"),
        "report": _degrain(folder, "report"),
        "register: publish": _degrain(folder, "register"),
        "register again": _degrain(folder, "register"),
        "degrain trials": _degrain(folder, "trials"),
    }
    made["report"] = _with(made["report"], f"{(folder / 'results' / 'report.html').stat().st_size / 1e6:.1f} MB")
    return made


def _with(cost: Cost, note: str) -> Cost:
    return Cost(cost.seconds, cost.cpu, cost.peak_mb, note)


def _size(folder: Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.0f} MB"
