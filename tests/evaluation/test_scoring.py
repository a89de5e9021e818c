"""Scores are the same whether the held-out patches are scored at once or in parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from degrain.evaluation import scoring
from degrain.metrics import catalog as metrics
from degrain.patches.store import PatchStore
from degrain.pixels import to_levels


def test_patches_are_scored_in_parts(store: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scoring.score(scoring.identity(), store, store.photographs())
    sigma = scoring.noise_level(store.split("val"))
    seen = []

    def patches(noisy: np.ndarray) -> np.ndarray:
        seen.append(len(noisy))
        return scoring.identity().patches(noisy)

    monkeypatch.setattr(scoring, "PART", 5 * 32 * 32 * 3 + 1)
    method = scoring.Method("identity", "identity", patches, scoring.identity().photograph, {})
    pd.testing.assert_frame_equal(scoring.score(method, store, store.photographs()), whole)
    assert scoring.noise_level(store.split("val")) == pytest.approx(sigma, rel=1e-12)
    sides = [store.split(side) for side in ("val", "test")]
    assert max(seen) == 5
    assert sum(seen) == sum(len(side) for side in sides)
    assert whole["image"].tolist()[: sum(seen)] == [name for side in sides for name in side.index["image"]]


def test_every_patch_has_its_own_score(store: PatchStore) -> None:
    noisy, clean = scoring.held_out(store.split("test"))
    visible = scoring.identity().patches(noisy)
    scores = scoring.score(scoring.identity(), store, []).query("split == 'test'")
    assert scores["psnr"].tolist() == metrics.psnr(visible, clean).tolist()
    assert scores["ssim"].tolist() == metrics.ssim(visible, clean).tolist()


def test_the_noise_level_is_the_standard_deviation_of_the_noise(store: PatchStore) -> None:
    noisy, clean = scoring.held_out(store.split("val"))
    expected = np.std(to_levels(noisy).astype(float) - to_levels(clean).astype(float))
    assert scoring.noise_level(store.split("val")) == pytest.approx(expected, rel=1e-9)
    assert expected > 10
