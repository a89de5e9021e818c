"""Scores are the same whether the held-out patches are scored at once or in parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from degrain.artifacts.metrics import Metrics
from degrain.errors import DataError, ParamsError
from degrain.evaluation import held_out, methods, protocol, scoring
from degrain.metrics.catalog import METRICS
from degrain.patches.store import PatchStore
from degrain.pixels import to_levels


def test_patches_are_scored_in_parts(store: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scoring.score(methods.identity(), store, store.photographs())
    sigma = held_out.noise_level(store.split("val"), store.noise)
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
    assert held_out.noise_level(store.split("val"), store.noise) == pytest.approx(sigma, rel=1e-12)
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
    assert held_out.noise_level(store.split("val"), store.noise) == pytest.approx(expected, rel=1e-9)
    assert expected > 10


def test_the_noise_level_of_only_noisy_images_is_estimated(noisy_store: PatchStore) -> None:
    assert held_out.noise_level(noisy_store.split("val"), noisy_store.noise) == pytest.approx(25, rel=0.1)


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        (lambda images, clean: images.mean(axis=(1, 2)), r"psnr returns the shape \(\d+, 3\)"),
        (lambda images, clean: images.no_such_mean(), "psnr does not work: AttributeError"),
    ],
)
def test_a_metric_that_fails_is_named_by_its_file(
    store: PatchStore, monkeypatch: pytest.MonkeyPatch, measure: Callable[..., Any], words: str
) -> None:
    measure.__module__ = METRICS["psnr"].measure.__module__
    monkeypatch.setitem(METRICS, "psnr", replace(METRICS["psnr"], measure=measure))
    with pytest.raises(ParamsError, match=rf"^metrics/psnr\.py: {words}"):
        scoring.score(methods.identity(), store, [])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("item", ["patch", "photograph"])
def test_a_score_that_is_no_finite_number_is_refused(
    store: PatchStore, monkeypatch: pytest.MonkeyPatch, item: str, value: float
) -> None:
    """One image is enough, and the line says which."""
    psnr = METRICS["psnr"].measure
    side = store.patch_size

    def measure(images: np.ndarray, clean: np.ndarray) -> np.ndarray:
        values = psnr(images, clean)
        if (images.shape[1] == side) == (item == "patch"):
            values[-1] = value
        return values

    measure.__module__ = psnr.__module__
    monkeypatch.setitem(METRICS, "psnr", replace(METRICS["psnr"], measure=measure))
    words = rf"^metrics/psnr\.py: psnr of identity is {value} for the {item} \S+, and must be a finite number$"
    with pytest.raises(ParamsError, match=words):
        scoring.score(methods.identity(), store, store.photographs())


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", ["identity", "champion", "baselines"])
def test_metrics_never_hold_what_is_no_number(tmp_path: Path, place: str, value: float) -> None:
    values = {"test_psnr": value}
    fields: dict[str, Any] = {"champion": {"trial": "a"}, "identity": {}, "baselines": {}, "trials": {}}
    fields[place] = {"median": values} if place == "baselines" else values
    with pytest.raises(ValidationError):
        Metrics(schema_version=Metrics.VERSION, **fields)
    (tmp_path / "metrics.json").write_text(json.dumps({"schema_version": Metrics.VERSION, **fields}))
    with pytest.raises(DataError, match=r"metrics\.json is damaged .*; run: dvc repro -f -s evaluate$"):
        Metrics.read(tmp_path / "metrics.json")


def test_threads_are_a_condition_of_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    for threads in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.add(protocol.conditions(torch.device("cpu")).machine)
    assert {machine.rpartition(", ")[2] for machine in found} == {"1 threads", "2 threads"}
