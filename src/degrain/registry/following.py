"""Mirroring the trials of a study from the ledger to MLflow, while they train or afterwards.

It is a process of its own, so that training waits for no server: what MLflow does not take now it gets later.
`python -m degrain.registry.following` is what `degrain.trials.mirroring` starts: it reads the study from its first line
of input, and ends when all is sent; once its input has ended, after the time that is said there.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from degrain.artifacts import history
from degrain.artifacts.trial import HISTORY, TRIAL, BegunTrial, TrialRecord
from degrain.errors import DataError, DegrainError, RegistryError
from degrain.machine import variables
from degrain.params.study import Params
from degrain.patches.store import PatchStore
from degrain.registry import tracking
from degrain.registry.runs import Mirror, Seen
from degrain.training.trial import Trial, expand
from degrain.trials.ledger import UNFINISHED, Ledger
from degrain.trials.mirroring import PATIENCE

log = logging.getLogger(__name__)

# Seconds between two looks at the ledger, and between two tries with a server that fails: twice as long each time.
LOOK, FIRST_PAUSE, LONGEST_PAUSE = 1.0, 1.0, 30.0
# Seconds for which an answer is waited.
ANSWER = 10


@dataclass
class Watched:
    """The trials of a study, as they are in the ledger.

    Attributes:
        params: The study.
        store: Its data; only the record is needed.
        ledger: Where the trials are.
    """

    params: Params
    store: PatchStore
    ledger: Ledger
    _asked: dict[str, Trial] = field(init=False)
    _known: dict[Path, tuple[int, BegunTrial | TrialRecord | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        models = self.params.train.models
        self._asked = {trial.name: trial for model in models for trial in expand(self.params.train, model)}

    def look(self) -> dict[str, Seen]:
        """Return what there is of each trial that has begun, by its name."""
        found: dict[str, Seen] = {}
        for path in sorted(self.ledger.folder.glob(f"*/{TRIAL}")):
            trial = self._trial(path)
            if trial is None or (trial.name in found and found[trial.name].has_ended):
                continue
            try:
                found[trial.name] = Seen(trial, history.so_far(path.parent / HISTORY))
            except OSError:  # it has just ended
                continue
        return found

    @property
    def names(self) -> set[str]:
        """The names of all trials of the study."""
        return set(self._asked)

    def _trial(self, path: Path) -> BegunTrial | TrialRecord | None:
        """Return the trial of the study that a folder of the ledger holds, under the study's name of it."""
        try:
            stamp = path.stat().st_mtime_ns
            if path not in self._known or self._known[path][0] != stamp:
                self._known[path] = stamp, self._read(path)
        except OSError:
            return None
        return self._known[path][1]

    def _read(self, path: Path) -> BegunTrial | TrialRecord | None:
        kind = BegunTrial if path.parent.name.endswith(UNFINISHED) else TrialRecord
        try:
            trial: BegunTrial | TrialRecord = kind.read(path)
        except DataError:
            return None
        for name, asked in self._asked.items():
            same = trial.model == asked.model and not trial.differences(asked.settings(self.store))
            if same and trial.key == asked.key(self.store, trial.place, trial.versions):
                titles = {"name": name, "optimizer": asked.optimizer.title, "loss": asked.loss.title}
                return trial.model_copy(update=titles)
        return None


def follow(watched: Watched, wanted: Callable[[], bool], once: bool = False) -> list[str]:
    """Mirror a study until all of its trials have ended and are sent, or nobody wants it any more.

    A server that refuses, is slow or goes away is tried again and again; nothing is lost, since the ledger keeps it.

    Args:
        watched: The study.
        wanted: Asked before each look, and while a server is waited for, whether to go on.
        once: Whether to be content with what there is now.

    Returns:
        The names of the trials that have not ended.

    Raises:
        RegistryError: Not all is sent, and the last that MLflow said is why.
    """
    variables.expect_answers_within(ANSWER)
    left, pause = watched.names, FIRST_PAUSE
    while left and wanted():
        try:
            with tracking.connect() as client:
                name = watched.params.register_.name
                mirror = Mirror(client, tracking.experiment(client, name), watched.params.study.name)
                while left and wanted():
                    for trial, seen in watched.look().items():
                        if trial in left:
                            mirror.send(seen)
                            left -= {trial} if seen.has_ended else set()
                        pause = FIRST_PAUSE
                    if once:
                        break
                    _wait(LOOK if left else 0, wanted)
            if once:
                break
        except (RegistryError, OSError) as error:
            _wait(pause, wanted)
            if not wanted():
                raise RegistryError(str(error)) from error
            log.debug("%s; it is tried again", error)
            pause = min(2 * pause, LONGEST_PAUSE)
    return sorted(left)


def _wait(seconds: float, wanted: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and wanted():
        time.sleep(min(0.2, seconds))


def main() -> int:
    """Mirror the study of the first line of input."""
    os.nice(19)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for train, which ends the input
    told = json.loads(sys.stdin.readline())
    closed: list[float] = []

    def wanted() -> bool:
        if not closed and select.select([sys.stdin], [], [], 0)[0]:
            closed.append(time.monotonic())
        return not closed or time.monotonic() - closed[0] < PATIENCE

    try:
        params = Params.model_validate(told["params"])
        watched = Watched(params, PatchStore.described(Path(told["prepared"]), params), Ledger())
        return 1 if follow(watched, wanted) else 0
    except DegrainError as error:
        log.debug("%s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
