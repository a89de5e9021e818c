"""The study of only noisy images, on real images with simulated noise: the test knows the truth, the study does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from degrain.artifacts.ranking import Ranking
from degrain.baselines.catalog import BASELINES
from degrain.evaluation import methods, ranking
from degrain.inference.denoiser import Denoiser
from degrain.ingest.datasets import bsd
from degrain.ingest.formats.containers import Containers
from degrain.params.data import DataParams
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.stages import EVALUATED, PREPARED, REPORT, TRIALS, evaluate, report, train
from tests.conftest import MIRROR, merged, save
from tests.ingest.datasets.test_catalog import composed, needs_mirror

pytestmark = [pytest.mark.slow, needs_mirror]

IMAGES, SIGMA = 12, 25.0
SMALL: dict[str, Any] = {
    "prepare": {"patch_size": 64, "crops": 32},
    "train": {"epochs": 2, "patches_per_epoch": 4096, "threads": 1},
    "evaluate": {"baselines": ["gaussian", "nlm"], "bootstrap": 100},
    "report": {"strips": 2},
}


@pytest.fixture
def truth(tmp_path: Path) -> dict[str, np.ndarray]:
    """Real images by their names; the folder `own` holds them with noise."""
    folder = MIRROR / "denoising"
    paths = bsd.BSD.images(folder, DataParams(dataset="bsd")).query("part == 'test'")["path"].iloc[:IMAGES]
    with Containers(folder) as containers:
        clean = {f"{i:02}": containers.read(path).pixels for i, path in enumerate(paths)}
    for seed, (name, pixels) in enumerate(clean.items()):
        noise = SIGMA * np.random.default_rng(seed).standard_normal(pixels.shape)
        save(tmp_path / "own" / f"{name}.png", np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8))
    return clean


def psnr(made: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> float:
    errors = [np.square(made[name].astype(float) - pixels).mean() for name, pixels in truth.items()]
    return float(np.mean(10 * np.log10(255**2 / np.array(errors))))


def test_a_folder_of_noisy_images_becomes_a_better_one(
    tmp_path: Path, truth: dict[str, np.ndarray], run_stages: Callable[..., Params]
) -> None:
    made = merged(composed("only-noisy"), merged(SMALL, {"data": {"path": str(tmp_path / "own")}}))
    params = run_stages(made, "download", "validate", "prepare")
    train.run(params, "unet")
    evaluate.run(params)
    ranked = Ranking.read(EVALUATED / "ranking.json")
    assert ranked.stand_in.startswith("No clean image was seen.")
    report.run(params)
    assert REPORT.read_text().count(ranked.stand_in) == 2, "above the ranking, and where the page says what clean is"
    assert "clean original" not in REPORT.read_text()

    store = PatchStore.open(PREPARED, params)
    with Containers(tmp_path / "own") as containers:
        noisy = {name: containers.read(f"{name}.png").pixels for name in truth}
    best = ranking.best_baseline(ranked.baseline_scores)
    assert best is not None
    classical = methods.baseline(BASELINES[best], store.split("val"), store.noise)
    denoiser = Denoiser.load(TRIALS / "unet" / ranked.champion)
    by_network, by_classical = (
        psnr({name: denoise(image) for name, image in noisy.items()}, truth)
        for denoise in (denoiser.image, classical.photograph)
    )
    assert by_network > psnr(noisy, truth) + 5
    assert by_network > by_classical - 0.3
    # Against the stand-in all scores are lower, and the noisy images are the last, too.
    assert ranked.identity["val_psnr"] < min(ranked.best.validation.mean, ranked.baseline_scores[best]["val_psnr"])
