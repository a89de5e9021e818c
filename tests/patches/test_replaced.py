"""A store that is replaced while it is used: what was opened is read to its end, or refused; never a mixture."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from degrain.errors import DataError
from degrain.patches.store import PatchStore
from tests import replacing

CHANGED = r"prepared/.* (has changed while it was used|cannot be read)?.*; run: dvc repro -f -s prepare$"


@pytest.mark.parametrize("way", replacing.WAYS)
def test_nothing_is_read_of_another_store(store: PatchStore, way: str) -> None:
    assert store.photographs()
    replacing.WAYS[way](store.folder)
    for split in ("train", "val", "test"):
        with pytest.raises(DataError, match=CHANGED):
            store.split(split)
    for read in (store.photographs, store.require_unchanged):
        with pytest.raises(DataError, match=CHANGED):
            read()


@pytest.mark.parametrize("way", [way for way in replacing.WAYS if way != "written to"])
def test_what_is_mapped_already_stays_what_it_was(store: PatchStore, way: str) -> None:
    val, before = store.split("val"), np.array(store.split("val").clean)
    replacing.WAYS[way](store.folder)
    assert np.array_equal(val.clean, before)


def test_the_same_store_prepared_again_is_as_good(store: PatchStore) -> None:
    before = np.array(store.split("test").clean)
    replacing.rewrite(store.folder)
    store.require_unchanged()
    assert np.array_equal(store.split("test").clean, before)
    assert len(store.images()) == 3


def test_a_process_that_is_handed_a_store_reads_no_other(store: PatchStore) -> None:
    handed = pickle.loads(pickle.dumps(store))
    handed.split("val")
    replacing.swap(store.folder)
    with pytest.raises(DataError, match=CHANGED):
        handed.split("val")


def test_a_file_that_was_not_there_is_not_read(store: PatchStore) -> None:
    np.save(store.folder / "train" / "noisy.npy", store.split("train").clean)
    assert store.split("train").noisy is None
