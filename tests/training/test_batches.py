"""Batches: functions of seed, epoch and position, wherever and in whatever pieces they are made."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from degrain.artifacts.store import STORE
from degrain.artifacts.trial import Place
from degrain.errors import ParamsError
from degrain.noise import adding
from degrain.noise.gaussian import GaussianNoise
from degrain.params.study import Params
from degrain.patches.store import PatchStore, content_digest
from degrain.pixels import to_unit
from degrain.randomness import generator
from degrain.training import loop
from degrain.training.batches import Batches, Pair
from degrain.training.device_batches import CopiedBatches, DeviceBatches, open_batches
from degrain.training.mixing import Mixing
from degrain.training.trial import Trial, expand
from tests.artifacts import records
from tests.conftest import Whole, manifest_of, picture, prepare, save

CPU = torch.device("cpu")
SHORT = {"epochs": 2, "patches_per_epoch": 12, "batch_size": 4, "models": ["unet"]}
UNEVEN = {"patches_per_epoch": 11, "batch_size": 4}
Trials = Callable[..., Trial]
Stores = Callable[..., PatchStore]


@pytest.fixture
def make_trial(make_params: Callable[..., Params]) -> Trials:
    """A trial of a short study, with changes."""

    def made(seed: int = 0, **change: Any) -> Trial:
        return expand(make_params(train=SHORT | {"seeds": [seed]} | change).train, "unet")[0]

    return made


@pytest.fixture
def make_store(tmp_path: Path, make_params: Callable[..., Params]) -> Stores:
    """Three images prepared in some way."""

    def made(**change: Any) -> PatchStore:
        for seed, name in enumerate("abc"):
            save(tmp_path / "images" / f"{name}.png", picture(seed))
        settings = {"patch_size": 32, "stride": 32, "min_std": 0.0, "split": {"val": ["b"], "test": ["c"]}} | change
        table = manifest_of(tmp_path / "images")
        return prepare(tmp_path / "made", tmp_path / "images", table, make_params(prepare=settings))

    return made


def with_real_noise(store: PatchStore) -> PatchStore:
    """The store with the negative of each training patch as its noisy partner."""
    clean = np.load(store.folder / "train" / "clean.npy")
    np.save(store.folder / "train" / "noisy.npy", np.iinfo(clean.dtype).max - clean)
    records.rewrite(store.folder / STORE, sha256=content_digest(store.folder))
    return PatchStore.open(store.folder)


DATA: dict[str, dict[str, Any]] = {
    "fresh": {},
    "another seed, fresh": {"seed": 5},
    "one copy": {"copies": 1},
    "another seed, one copy": {"copies": 1, "seed": 5},
    "two copies": {"copies": 2},
    "16 bits": {"bits": 16},
    "weaker noise": {"noise": {"sigma": 10}},
    "not clipped": {"noise": {"clip": False}},
    "smaller patches": {"patch_size": 16, "stride": 16},
    "fewer patches": {"stride": 64},
    "gray": {"color": "gray"},
    "shrunk": {"shrink": [1, 2]},
}


def test_other_batches_have_another_key(make_store: Stores, make_trial: Trials) -> None:
    trial, place, seen = make_trial(), Place(device="cpu"), {}
    for what, change in DATA.items():
        store = make_store(**change)
        noisy, clean = next(iter(Batches(trial, store).epoch(0)))
        batch = hashlib.sha256(noisy.numpy().tobytes() + clean.numpy().tobytes()).hexdigest()
        key = trial.key(store, place)
        assert seen.setdefault(key, batch) == batch, f"{what} has the key of other batches"
        shutil.rmtree(store.folder)
    assert len(seen) == len(DATA)


def pixels(pairs: Iterator[Pair] | list[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """Noisy and clean patches of many batches, (N, C, H, W)."""
    noisy, clean = (np.concatenate([tensor.cpu().numpy() for tensor in side]) for side in zip(*pairs, strict=True))
    return noisy, clean


def same(one: Iterator[Pair] | list[Pair], other: Iterator[Pair] | list[Pair]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(pixels(one), pixels(other), strict=True))


KINDS: list[Callable[[Stores], PatchStore]] = [
    lambda make: make(),
    lambda make: make(copies=3),
    lambda make: with_real_noise(make()),
    lambda make: make(bits=16),
    lambda make: with_real_noise(make(bits=16)),
]
every_store = pytest.mark.parametrize("of", KINDS, ids=["fresh", "copies", "real", "16 bits", "real, 16 bits"])


def test_batches_depend_on_seed_and_epoch_alone(store: PatchStore, make_trial: Trials) -> None:
    def epoch(trial: Trial, number: int) -> list[Pair]:
        return list(Batches(trial, store).epoch(number))

    adam, adadelta = make_trial(), make_trial(optimizers=["adadelta"])
    assert same(epoch(adam, 1), epoch(adadelta, 1))
    assert not same(epoch(adam, 0), epoch(adam, 1))
    assert not same(epoch(adam, 0), epoch(make_trial(seed=5), 0))


def test_batches_are_noisy_and_clean_versions_of_training_patches(store: PatchStore, make_trial: Trials) -> None:
    batches = list(Batches(make_trial(), store).epoch(0))
    assert [len(clean) for _, clean in batches] == [4, 4, 4]
    noise = torch.cat([noisy - clean for noisy, clean in batches])
    assert noise.std().item() == pytest.approx(25 / 255, rel=0.1)
    means = sorted(round(float(c.mean()), 5) for _, clean in batches for c in clean)
    assert means == sorted(round(float(p.mean() / 255), 5) for p in store.split("train").clean)


def test_batches_are_float32_and_channels_last(store: PatchStore, make_trial: Trials) -> None:
    for tensor in next(Batches(make_trial(), store).epoch(0)):
        assert tensor.shape == (4, 3, 32, 32)
        assert tensor.dtype == torch.float32
        assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_fresh_noise_has_the_address_of_epoch_and_position(store: PatchStore, make_trial: Trials) -> None:
    noisy, clean = pixels(Batches(make_trial(augment="none"), store).epoch(3))
    for position in range(12):
        levels = np.rint(clean[position].transpose(1, 2, 0) * 255).astype(np.uint8)
        expected = adding.add(store.noise, levels, generator(0, "train noise", 3, position))
        assert np.array_equal(noisy[position].transpose(1, 2, 0), to_unit(expected))


@every_store
def test_an_epoch_resumed_within_has_the_same_bits(
    of: Callable[[Stores], PatchStore], make_store: Stores, make_trial: Trials
) -> None:
    batches = Batches(make_trial(**UNEVEN), of(make_store))
    assert batches.steps_per_epoch == 3
    whole = list(batches.epoch(1))
    for start in range(3):
        assert same(whole[start:], batches.epoch(1, start))
    assert not list(batches.epoch(1, 3))


@every_store
@pytest.mark.parametrize("world", [2, 3, 5])
def test_the_shares_of_all_ranks_are_the_batch(
    world: int, of: Callable[[Stores], PatchStore], make_store: Stores, make_trial: Trials
) -> None:
    trial, store = make_trial(**UNEVEN), of(make_store)
    ranks = [list(Batches(trial, store, rank=rank, world=world).epoch(1)) for rank in range(world)]
    for shares, whole in zip(zip(*ranks, strict=True), Batches(trial, store).epoch(1), strict=True):
        expected = np.array_split(whole[0], world), np.array_split(whole[1], world)
        for share, noisy, clean in zip(shares, *expected, strict=True):
            assert same([share], [(torch.as_tensor(noisy), torch.as_tensor(clean))])


@every_store
def test_patches_do_not_depend_on_the_batch_size(
    of: Callable[[Stores], PatchStore], make_store: Stores, make_trial: Trials
) -> None:
    store = of(make_store)
    eleven = {"patches_per_epoch": 11}
    whole = list(Batches(make_trial(**eleven, batch_size=11), store).epoch(1))
    assert same(whole, Batches(make_trial(**eleven, batch_size=2), store).epoch(1))


MIXES = ["mixup", "cutmix", "cutout"]


@pytest.mark.parametrize("mix", MIXES)
def test_mixed_pairs_are_the_same_in_whatever_pieces_they_are_made(
    mix: str, store: PatchStore, make_trial: Trials
) -> None:
    trial = make_trial(**UNEVEN, mix=mix, mix_probability=0.7)
    whole = list(Batches(trial, store).epoch(1))
    assert not same(whole, Batches(make_trial(**UNEVEN), store).epoch(1))
    assert same(whole[1:], Batches(trial, store).epoch(1, start=1))
    smaller = make_trial(patches_per_epoch=11, batch_size=3, mix=mix, mix_probability=0.7)
    assert same(whole, Batches(smaller, store).epoch(1))
    ranks = [list(Batches(trial, store, rank=rank, world=2).epoch(1)) for rank in range(2)]
    assert same(whole, [pair for shares in zip(*ranks, strict=True) for pair in shares])


@pytest.mark.parametrize("mix", MIXES)
def test_both_sides_of_a_pair_are_mixed_alike(mix: str, make_store: Stores, make_trial: Trials) -> None:
    store = with_real_noise(make_store())
    plain = pixels(Batches(make_trial(), store).epoch(0))
    mixed = pixels(Batches(make_trial(mix=mix, mix_probability=0.5), store).epoch(0))
    how = Mixing.draw(mix, 0.5, 0, 0, 12, 32)
    assert how is not None
    assert 0 < how.chosen.sum() < 12
    for before, after in zip(plain, mixed, strict=True):
        for position in range(12):
            partner, expected = before[how.partners[position]], before[position].copy()
            (top, left), side = how.corners[position], how.sides[position]
            assert 6 <= side <= 16
            square = np.s_[:, top : top + side, left : left + side]
            assert expected[square].shape == (3, side, side)
            if not how.chosen[position]:
                pass
            elif mix == "mixup":
                expected = how.shares[position] * expected + (1 - how.shares[position]) * partner
            else:
                expected[square] = 0 if mix == "cutout" else partner[square]
            np.testing.assert_allclose(after[position], expected, atol=1e-6)


def test_pairs_are_mixed_as_often_as_asked() -> None:
    how = Mixing.draw("cutmix", 0.2, 0, 0, 20_000, 64)
    assert how is not None
    assert how.chosen.mean() == pytest.approx(0.2, abs=0.01)
    assert (how.sides.min(), how.sides.max()) == (13, 32)
    assert how.corners.min() == 0
    assert (how.corners + how.sides[:, None]).max() == 64
    assert Mixing.draw("none", 0.2, 0, 0, 20_000, 64) is None


def test_accumulated_batches_come_at_once(store: PatchStore, make_trial: Trials) -> None:
    one, parts = make_trial(batch_size=6), make_trial(batch_size=2, accumulate=3)
    assert Batches(parts, store).batch_size == 6
    assert Batches(parts, store).steps_per_epoch == 2
    assert same(Batches(one, store).epoch(0), Batches(parts, store).epoch(0))


def whole_epochs(trial: Trial, store: PatchStore) -> list[dict[bytes, list[bytes]]]:
    """For each of two epochs: for each clean patch its noisy versions, as bytes."""
    epochs = []
    for epoch in range(2):
        seen: dict[bytes, list[bytes]] = {}
        for noisy, clean in zip(*pixels(Batches(trial, store).epoch(epoch)), strict=True):
            seen.setdefault(clean.tobytes(), []).append(noisy.tobytes())
        epochs.append(seen)
    return epochs


def test_fixed_copies_have_the_same_noise_in_every_epoch(make_store: Stores, make_trial: Trials) -> None:
    first, second = whole_epochs(make_trial(patches_per_epoch=0, augment="none"), make_store(copies=3))
    assert len(first) == 12
    assert all(len(set(copies)) == 3 for copies in first.values())
    assert {clean: sorted(noisy) for clean, noisy in first.items()} == {c: sorted(n) for c, n in second.items()}


def test_fixed_noise_turns_with_its_patch(make_store: Stores, make_trial: Trials) -> None:
    store = make_store(copies=2)
    straight, turned = (
        pixels(Batches(make_trial(patches_per_epoch=24, augment=augment), store).epoch(0))
        for augment in ("none", "dihedral")
    )
    seen = set()
    for before, after in zip(np.concatenate(straight, axis=1), np.concatenate(turned, axis=1), strict=True):
        ways = [np.rot90(side, k, (1, 2)) for side in (before, before[:, :, ::-1]) for k in range(4)]
        (way,) = [i for i, image in enumerate(ways) if np.array_equal(image, after)]
        seen.add(way)
    assert len(seen) > 4


def test_fresh_noise_differs_in_every_epoch(store: PatchStore, make_trial: Trials) -> None:
    first, second = whole_epochs(make_trial(patches_per_epoch=0, augment="none"), store)
    assert set(first) == set(second)
    assert all(first[clean] != second[clean] for clean in first)


@pytest.mark.parametrize("bits", [8, 16])
def test_real_pairs_stay_pairs_when_they_are_turned(bits: int, make_store: Stores, make_trial: Trials) -> None:
    noisy, clean = pixels(Batches(make_trial(), with_real_noise(make_store(bits=bits))).epoch(0))
    assert np.allclose(noisy, 1 - clean, atol=1e-6)


DEVICE_KINDS: list[dict[str, Any]] = [
    {"kind": "gaussian", "sigma": 25.0},
    {"kind": "gaussian", "sigma": [5.0, 50.0], "clip": False},
    {"kind": "coefficient", "factor": 0.2},
    {"kind": "masking"},
    {"kind": "salt_and_pepper"},
    {"kind": "speckle"},
    {"kind": "shot_read", "camera": "GP-6400"},
    {"kind": "camera"},
]


@every_store
@pytest.mark.parametrize("augment", ["none", "dihedral"])
def test_clean_patches_made_on_the_device_are_those_of_the_host(
    augment: str, of: Callable[[Stores], PatchStore], make_store: Stores, make_trial: Trials
) -> None:
    trial, store = make_trial(**UNEVEN, augment=augment), of(make_store)
    if not DeviceBatches.serves(store):
        with pytest.raises(TypeError, match="not drawn on a device"):
            DeviceBatches(trial, store, CPU)
        return
    host, device = (pixels(made.epoch(1)) for made in (Batches(trial, store), DeviceBatches(trial, store, CPU)))
    assert np.array_equal(host[1], device[1])
    assert host[0].shape == device[0].shape
    assert np.array_equal(host[0], device[0]) == (store.split("train").noisy is not None)


@pytest.mark.parametrize(
    ("noise", "bits"),
    [(noise, bits) for noise in DEVICE_KINDS for bits in ([8, 16] if noise.get("clip", True) else [8])],
    ids=str,
)
def test_noise_made_on_the_device_is_like_the_host_s(
    noise: dict[str, Any], bits: int, make_store: Stores, make_trial: Trials
) -> None:
    store = make_store(noise=Whole(noise), bits=bits)
    trial = make_trial(patches_per_epoch=96, batch_size=16)
    (host, clean), (device, _) = (
        pixels(made.epoch(0)) for made in (Batches(trial, store), DeviceBatches(trial, store, CPU))
    )
    levels = (1 << bits) - 1
    if store.noise.clipped:
        assert np.allclose(device * levels, np.rint(device * levels), atol=levels * 1e-6)
        assert device.min() >= 0
        assert device.max() <= 1
    else:
        assert device.min() < 0
    one, other = host - clean, device - clean
    # Patches of one image differ in strength and in how much is clipped, so their spread says how exact a mean is.
    for power in (1, 2):
        means = [(values**power).mean(axis=(1, 2, 3)) for values in (one, other)]
        assert abs(means[0].mean() - means[1].mean()) < 5 * np.hypot(*(m.std() / np.sqrt(len(m)) for m in means))
    for value in (0, 1):
        shares = [(values == value).mean() for values in (host, device)]
        assert shares[0] == pytest.approx(shares[1], abs=0.01)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("clip", [True, False])
def test_noise_of_a_device_that_is_not_finite_is_blamed_before_the_training(
    value: float, clip: bool, make_store: Stores, make_trial: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(noise=Whole(kind="gaussian", clip=clip))
    trial = make_trial(patches_per_epoch=4)
    batches = DeviceBatches(trial, store, CPU)
    monkeypatch.setattr(loop, "open_batches", lambda *_: batches)
    monkeypatch.setattr(GaussianNoise, "draw_on_device", lambda _self, clean, _draw: clean * value)
    with pytest.raises(ParamsError, match=r"^noise/gaussian\.py: gaussian makes pixels that are no finite numbers$"):
        loop.train(trial, store, CPU)


@pytest.mark.parametrize("bits", [8, 16])
def test_without_noise_noisy_is_clean_on_host_and_device(bits: int, make_store: Stores, make_trial: Trials) -> None:
    store = make_store(noise=Whole(kind="none"), bits=bits)
    for side in map(store.split, ("val", "test")):
        assert side.noisy is not None
        assert np.array_equal(side.noisy, side.clean)
    for made in (Batches(make_trial(), store), DeviceBatches(make_trial(), store, CPU)):
        noisy, clean = pixels(made.epoch(0))
        assert np.array_equal(noisy, clean)


def test_device_batches_are_the_same_every_time_and_from_any_step(store: PatchStore, make_trial: Trials) -> None:
    batches = DeviceBatches(make_trial(**UNEVEN), store, CPU)
    whole = list(batches.epoch(1))
    assert [tuple(clean.shape) for _, clean in whole] == [(4, 3, 32, 32), (4, 3, 32, 32), (3, 3, 32, 32)]
    assert all(tensor.is_contiguous(memory_format=torch.channels_last) for pair in whole for tensor in pair)
    for start in range(3):
        assert same(whole[start:], DeviceBatches(make_trial(**UNEVEN), store, CPU).epoch(1, start))
    noisy, clean = pixels(whole)
    again, _ = pixels(batches.epoch(2))
    assert not np.array_equal(noisy, again)
    assert len({patch.tobytes() for patch in noisy - clean}) == 11


@pytest.mark.parametrize("world", [2, 5])
def test_ranks_share_what_is_made_on_the_device(world: int, store: PatchStore, make_trial: Trials) -> None:
    trial = make_trial(**UNEVEN)
    ranks = [list(DeviceBatches(trial, store, CPU, rank, world).epoch(1)) for rank in range(world)]
    for shares, whole in zip(zip(*ranks, strict=True), DeviceBatches(trial, store, CPU).epoch(1), strict=True):
        assert same(list(shares), [whole])


@every_store
def test_copied_batches_are_those_of_the_host(
    of: Callable[[Stores], PatchStore], make_store: Stores, make_trial: Trials
) -> None:
    trial, store = make_trial(**UNEVEN), of(make_store)
    assert same(Batches(trial, store).epoch(1, 1), CopiedBatches(trial, store, CPU).epoch(1, 1))


@pytest.mark.parametrize("change", [{"copies": 3}, {"noise": Whole({"kind": "jpeg"})}], ids=["copies", "jpeg"])
def test_a_device_refuses_what_only_the_host_draws(
    change: dict[str, Any], make_store: Stores, make_trial: Trials
) -> None:
    store = make_store(**change)
    assert not DeviceBatches.serves(store)
    with pytest.raises(TypeError, match="not drawn on a device"):
        DeviceBatches(make_trial(), store, CPU)


def test_the_cpu_makes_its_batches_on_the_host(store: PatchStore, make_trial: Trials) -> None:
    assert type(open_batches(make_trial(), store, CPU)) is Batches
