"""Unfinished work of a stage on the DVC remote, so that a worker on another machine goes on where one has died.

    degrain/unfinished/HASH/KEY.tar              a trial that has ended
    degrain/unfinished/HASH/KEY.unfinished.tar   the newest checkpoint of one that has not

HASH is that of all that decides the stage, as in DVC's run-cache; KEY is the trial's in the ledger. Once the stage's
outputs are on the remote, all of it is removed. On one machine workers share the ledger and need none of this.
"""

from __future__ import annotations

import logging
import shutil
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from degrain import files
from degrain.artifacts.checkpoint import CheckpointRecord
from degrain.artifacts.trial import CHECKPOINT, TRIAL
from degrain.errors import DataError
from degrain.trials.ledger import UNFINISHED, Busy, Ledger
from pipelines.remote import Remote

log = logging.getLogger(__name__)

FOLDER = "degrain/unfinished"
# Seconds between two looks at the ledger, and between two copies of one trial's checkpoints.
_LOOK, _PAUSE = 2.0, 60.0


class Mirror:
    """The unfinished work of one stage.

    Args:
        remote: Where it is kept.
        ledger: Of this machine.
        stage: Hash of all that decides the stage.
    """

    def __init__(self, remote: Remote, ledger: Ledger, stage: str) -> None:
        self._remote, self._ledger = remote, ledger
        self._folder = f"{FOLDER}/{stage}"
        self._since = time.time()
        self._copied: dict[str, tuple[str, float]] = {}

    def restore(self) -> int:
        """Bring what others have left into the ledger, where it is farther than what is there.

        Returns:
            How many trials came.
        """
        came = 0
        # NOTE: in this order a trial that has ended comes before its checkpoint, which is then of no use.
        for name in self._remote.names(self._folder):
            key = Path(name).name.removesuffix(".tar").removesuffix(UNFINISHED)
            with suppress(Busy), self._ledger.claimed(key):
                came += self._restore(name, key)
        return came

    def _restore(self, name: str, key: str) -> bool:
        stem = Path(name).name.removesuffix(".tar")
        if self._ledger.find(key) is not None:
            return False
        with TemporaryDirectory() as scratch:
            packed, there = Path(scratch) / "packed.tar", Ledger(Path(scratch))
            self._remote.get(name, packed)
            try:
                with tarfile.open(packed) as archive:
                    archive.extractall(there.folder / stem, filter="data")
            except (tarfile.TarError, OSError) as error:
                log.warning("%s on the DVC remote is damaged: %s", name, error)
                return False
            ours, theirs = _steps(self._ledger.unfinished(key), key), _steps(there.unfinished(key), key)
            if there.find(key) is None if stem == key else theirs <= ours:
                return False
            with files.new_folder(self._ledger.folder / stem) as place:
                shutil.copytree(there.folder / stem, place, dirs_exist_ok=True)
        return True

    def copy(self) -> None:
        """Copy to the remote what the stage has done since it was copied last."""
        for folder in sorted(self._ledger.folder.glob("*")):
            key = folder.name.removesuffix(UNFINISHED)
            mark = self._mark(folder, key)
            last, when = self._copied.get(folder.name, ("", 0.0))
            if not mark or mark == last or (folder.name != key and time.monotonic() - when < _PAUSE):
                continue
            if self._put(folder, mark):
                self._copied[folder.name] = (mark, time.monotonic())

    def _mark(self, folder: Path, key: str) -> str:
        """What tells one state of a trial from the next; nothing if there is nothing to copy."""
        marking = folder / (TRIAL if folder.name == key else CHECKPOINT)
        try:
            changed = marking.stat().st_mtime
        except OSError:
            return ""
        if folder.suffix in (".damaged", files.PARTIAL) or max(changed, folder.stat().st_mtime) < self._since:
            return ""
        return str(changed)

    def _put(self, folder: Path, mark: str) -> bool:
        with TemporaryDirectory() as scratch:
            packed = Path(scratch) / "packed.tar"
            try:
                with tarfile.open(packed, "w") as archive:
                    for path in sorted(folder.iterdir()):
                        archive.add(path, path.name)
                # NOTE: what has changed meanwhile may be half of each; it is copied at the next look.
                if self._mark(folder, folder.name.removesuffix(UNFINISHED)) != mark:
                    return False
            except FileNotFoundError:
                return False
            self._remote.put(packed, f"{self._folder}/{folder.name}.tar")
        return True

    def forget(self) -> None:
        """Remove what the remote holds of the stage."""
        self._remote.remove(self._folder)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Copy in the background as long as the block runs; a remote that refuses stops nothing."""
        ending = threading.Event()

        def keep() -> None:
            while not ending.wait(_LOOK):
                try:
                    self.copy()
                except Exception as error:  # each library of a remote has errors of its own
                    log.warning("checkpoints are not copied to the DVC remote: %s", " ".join(str(error).split()))
                    ending.wait(_PAUSE)

        keeper = threading.Thread(target=keep, daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ending.set()
            keeper.join()


def _steps(folder: Path, key: str) -> int:
    """How far a checkpoint is, in optimizer steps; -1 where there is none that can be used."""
    try:
        record = CheckpointRecord.read(folder / CHECKPOINT)
        whole = record.key == key and files.sha256(folder / record.file) == record.sha256
    except (DataError, OSError):
        return -1
    return record.step if whole else -1
