"""Scores are the same whether the held-out patches are scored at once or in parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from degrain.evaluation import held_out, methods, scoring
from degrain.metrics.catalog import METRICS
from degrain.patches.store import PatchStore
from degrain.pixels import to_levels


def test_patches_are_scored_in_parts(store: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scoring.score(methods.identity(), store, store.photographs())
    sigma = held_out.noise_level(store.split("val"))
    seen = []

    def patches(noisy: np.ndarray) -> np.ndarray:
        seen.append(len(noisy))
        return methods.identity().patches(noisy)

    monkeypatch.setattr(held_out, "PART", 5 * 32 * 32 * 3 + 1)
    method = methods.Method("identity", "identity", patches, methods.identity().photograph, {})
    order = ["split", "item", "metric"]
    parts = scoring.score(method, store, store.photographs())
    pd.testing.assert_frame_equal(
        parts.sort_values(order, kind="stable", ignore_index=True),
        whole.sort_values(order, kind="stable", ignore_index=True),
    )
    assert held_out.noise_level(store.split("val")) == pytest.approx(sigma, rel=1e-12)
    sides = [store.split(side) for side in ("val", "test")]
    assert max(seen) == 5
    assert sum(seen) == sum(len(side) for side in sides)
    decisive = whole.query("metric == 'psnr'")
    assert decisive["image"].tolist()[: sum(seen)] == [name for side in sides for name in side.index["image"]]


def test_every_patch_has_its_own_score(store: PatchStore) -> None:
    noisy, clean = held_out.pairs(store.split("test"))
    visible = methods.identity().patches(noisy)
    scores = scoring.score(methods.identity(), store, []).query("split == 'test'")
    assert set(scores["metric"]) == set(METRICS)
    for metric in METRICS.values():
        assert scores[scores["metric"] == metric.name]["value"].tolist() == metric.measure(visible, clean).tolist()


def test_the_noise_level_is_the_standard_deviation_of_the_noise(store: PatchStore) -> None:
    noisy, clean = held_out.pairs(store.split("val"))
    expected = np.std(to_levels(noisy).astype(float) - to_levels(clean).astype(float))
    assert held_out.noise_level(store.split("val")) == pytest.approx(expected, rel=1e-9)
    assert expected > 10
