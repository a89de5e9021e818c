"""What a study needs of disk and memory is known before anything is computed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from degrain.errors import ParamsError
from degrain.machine import compute
from degrain.params.prepare import PrepareParams
from degrain.patches import needs
from degrain.patches.store import PatchStore
from degrain.studies import check
from tests.conftest import merged

SPLIT = {"split": {"val": 0.2, "test": 0.2}}


def prepare(**change: Any) -> PrepareParams:
    return PrepareParams.model_validate(SPLIT | change)


@pytest.mark.parametrize(
    ("change", "size", "patches"),
    [
        ({}, (320, 256), 20),
        ({"stride": 32}, (320, 256), 63),
        ({"crops": 7}, (320, 256), 7),
        ({"crops": 7, "shrink": [1, 3, 9]}, (320, 256), 14),
        ({"crops": 7}, (63, 999), 0),
        ({"resize": {"size": [128, 64]}}, (9999, 9999), 2),
    ],
)
def test_patches_are_counted_as_they_are_cut(change: dict[str, Any], size: tuple[int, int], patches: int) -> None:
    assert needs.patches_of(*size, prepare(**change)) == patches


def test_a_store_is_as_large_as_was_estimated(store: PatchStore) -> None:
    params = store.record.params
    patches = sum(store.counts.values())
    arrays = sum(path.stat().st_size for path in store.folder.glob("*/clean.npy"))
    estimated = needs.estimate(patches, 1, store.channels, params).disk
    assert arrays <= estimated + 3 * 128
    assert estimated < 1.1 * arrays + patches


@pytest.mark.parametrize(("free", "memory", "words"), [(10, 1 << 60, "free on the disk"), (1 << 60, 10, "memory here")])
def test_what_the_machine_lacks_is_said_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, memory: int, words: str
) -> None:
    monkeypatch.setattr(compute, "memory", lambda: memory)
    monkeypatch.setattr(needs.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(ParamsError, match=f"500 patches need at least .*{words}; less of data.limit"):
        needs.estimate(500, 5, 3, prepare()).check(tmp_path / "not" / "there")


@pytest.mark.parametrize(
    "change",
    [
        {"prepare": {"crops": 100_000, "patch_size": 512}},
        {"prepare": {"crops": 100_000, "copies": 100_000}},
        {"train": {"batch_size": 65_536}, "prepare": {"patch_size": 1024}},
    ],
)
def test_a_study_that_cannot_fit_is_refused_by_check(quickstart: dict[str, Any], change: dict[str, Any]) -> None:
    from degrain.params.study import Params

    params = Params.model_validate(merged(quickstart, change))
    with pytest.raises(ParamsError, match=r"needs? at least"):
        check.check(params)
