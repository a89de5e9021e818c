"""Unfinished work on a DVC remote: it comes back as it was, the farther one wins, and what is damaged is not taken."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from degrain.artifacts import history
from degrain.artifacts.checkpoint import CheckpointRecord
from degrain.artifacts.trial import CHECKPOINT, HISTORY, TRIAL
from degrain.errors import Stopped
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.training.trial import expand
from degrain.trials import work
from degrain.trials.ledger import UNFINISHED, Ledger
from pipelines.mirror import FOLDER, Mirror
from pipelines.processes import dvc
from pipelines.remote import Remote

KEY = "0123456789abcdef0123"
STAGE = "a" * 64
HOLD = """
import sys
from pathlib import Path
from degrain.trials.ledger import Ledger
with Ledger(Path(sys.argv[1])).claimed(sys.argv[2]):
    print("held", flush=True)
    input()
"""


def checkpoint(ledger: Ledger, step: int, key: str = KEY) -> Path:
    """An unfinished trial with a checkpoint, as training leaves it."""
    folder = ledger.unfinished(key)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tensors = f"tensors of step {step}".encode()
    (folder / f"{step:09d}.safetensors").write_bytes(tensors)
    (folder / TRIAL).write_text("{}")
    CheckpointRecord(
        schema_version=CheckpointRecord.VERSION,
        key=key,
        file=f"{step:09d}.safetensors",
        sha256=hashlib.sha256(tensors).hexdigest(),
        network=None,
        optimizer=None,
        averaged=None,
        best=None,
        parts=1,
        steps=100,
        step=step,
        loss_sum=0.0,
        history=[],
        seconds=1.0,
    ).write(folder / CHECKPOINT)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    project = tmp_path / "project"
    project.mkdir()
    for command in (["git", "init", "-q"], dvc("init", "-q"), dvc("remote", "add", "-q", "-d", "r", "../remote")):
        subprocess.run(command, cwd=project, check=True)
    from dvc.repo import Repo

    with Repo(str(project)) as repo:
        return Remote(repo)


def test_a_checkpoint_comes_to_another_machine_as_it_was(remote: Remote, tmp_path: Path) -> None:
    first, second = Ledger(tmp_path / "first"), Ledger(tmp_path / "second")
    mirror = Mirror(remote, first, STAGE)
    left = checkpoint(first, 10)
    mirror.copy()
    assert remote.names(FOLDER) == [f"{FOLDER}/{STAGE}/{KEY}{UNFINISHED}.tar"]
    assert Mirror(remote, second, STAGE).restore() == 1
    assert contents(second.unfinished(KEY)) == contents(left)
    assert Mirror(remote, second, STAGE).restore() == 0, "a second time there is nothing to bring"
    assert Mirror(remote, Ledger(tmp_path / "third"), "b" * 64).restore() == 0, "another stage's is none of ours"
    mirror.forget()
    assert remote.names(FOLDER) == []


def test_what_is_half_written_is_not_copied(remote: Remote, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    mirror = Mirror(remote, ledger, STAGE)
    left = ledger.folder / f"{KEY}.host.1-2.partial"
    left.mkdir(parents=True)
    for name in (TRIAL, CHECKPOINT):
        (left / name).write_text("{}")
    mirror.copy()
    assert remote.names(FOLDER) == []


def test_what_another_machine_has_trained_is_not_trained_again(
    remote: Remote, store: PatchStore, make_params: Callable[..., Params], tmp_path: Path
) -> None:
    settings = {"models": ["unet"], "optimizers": ["adam"], "epochs": 4, "patches_per_epoch": 12, "batch_size": 4}
    (trial,) = expand(make_params(train=settings).train, "unet")
    first, second = Ledger(tmp_path / "first"), Ledger(tmp_path / "second")
    mirror = Mirror(remote, first, STAGE)

    def train(ledger: Ledger, until: int) -> int:
        """Train up to some step of this process; returns how many it has done."""
        done = 0

        def stopping() -> bool:
            nonlocal done
            done += 1
            return done == until

        with suppress(Stopped):
            work.train(work.Job(trial, KEY, store, torch.device("cpu"), ledger), lambda _: None, stopping)
        return done

    assert train(first, 7) == 7, "one step into the third epoch"
    mirror.copy()
    assert Mirror(remote, second, STAGE).restore() == 1
    mirrored = CheckpointRecord.read(second.unfinished(KEY) / CHECKPOINT).history
    assert train(second, 100) == 4 * 3 - 7
    epochs = history.so_far(second.folder / KEY / HISTORY)
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert epochs[:2] == mirrored, "with the times at which they ended"


@pytest.mark.parametrize(("here", "there", "wins"), [(5, 10, 10), (10, 5, 10), (7, 7, 7)])
def test_the_one_that_is_farther_stays(remote: Remote, tmp_path: Path, here: int, there: int, wins: int) -> None:
    first, second = Ledger(tmp_path / "first"), Ledger(tmp_path / "second")
    mirror = Mirror(remote, first, STAGE)
    checkpoint(first, there)
    mirror.copy()
    checkpoint(second, here)
    Mirror(remote, second, STAGE).restore()
    assert f"{wins:09d}.safetensors" in contents(second.unfinished(KEY))


def test_one_that_is_being_trained_is_left_alone(remote: Remote, tmp_path: Path) -> None:
    first, second = Ledger(tmp_path / "first"), Ledger(tmp_path / "second")
    mirror = Mirror(remote, first, STAGE)
    checkpoint(first, 10)
    mirror.copy()
    checkpoint(second, 5)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(second.folder), KEY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        assert Mirror(remote, second, STAGE).restore() == 0
    finally:
        holder.communicate("\n")
    assert f"{5:09d}.safetensors" in contents(second.unfinished(KEY))


def test_a_checkpoint_is_copied_at_most_once_a_minute(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Ledger(tmp_path / "first")
    mirror, now = Mirror(remote, first, STAGE), [1000.0]
    monkeypatch.setattr("pipelines.mirror.time.monotonic", lambda: now[0])
    for step, second, copied in ((10, 0, 10), (20, 30, 10), (30, 61, 30)):
        checkpoint(first, step)
        now[0] = 1000.0 + second
        mirror.copy()
        other = Ledger(tmp_path / f"other-{step}")
        Mirror(remote, other, STAGE).restore()
        assert f"{copied:09d}.safetensors" in contents(other.unfinished(KEY))


def test_what_was_there_before_the_stage_is_not_copied(remote: Remote, tmp_path: Path) -> None:
    first = Ledger(tmp_path / "first")
    folder = checkpoint(first, 10)
    for path in (*folder.iterdir(), folder):
        os.utime(path, (time.time() - 3600,) * 2)
    Mirror(remote, first, STAGE).copy()
    assert remote.names(FOLDER) == []


@pytest.mark.parametrize("damage", [b"", b"no archive"])
def test_an_archive_that_is_damaged_stops_nothing(remote: Remote, tmp_path: Path, damage: bytes) -> None:
    broken = tmp_path / "broken.tar"
    broken.write_bytes(damage)
    remote.put(broken, f"{FOLDER}/{STAGE}/{KEY}{UNFINISHED}.tar")
    assert Mirror(remote, Ledger(tmp_path / "second"), STAGE).restore() == 0


def test_an_entry_of_another_trial_is_not_believed(remote: Remote, tmp_path: Path) -> None:
    first, second = Ledger(tmp_path / "first"), Ledger(tmp_path / "second")
    mirror = Mirror(remote, first, STAGE)
    checkpoint(first, 10)
    mirror.copy()
    packed = tmp_path / "packed.tar"
    remote.get(f"{FOLDER}/{STAGE}/{KEY}{UNFINISHED}.tar", packed)
    other = "f" * 20
    remote.put(packed, f"{FOLDER}/{STAGE}/{other}{UNFINISHED}.tar")
    assert Mirror(remote, second, STAGE).restore() == 1, "only the one that is what it is called"
    assert not second.unfinished(other).exists()
