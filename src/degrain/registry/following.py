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
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from degrain.artifacts import history
from degrain.artifacts.trial import HISTORY, TRIAL, BegunTrial
from degrain.errors import DataError, DegrainError, Deleted, RegistryError, Unauthenticated
from degrain.machine import variables
from degrain.registry import tracking
from degrain.registry.runs import Mirror, Seen
from degrain.trials.ledger import Ledger
from degrain.trials.mirroring import PATIENCE, Asked

log = logging.getLogger(__name__)

# Seconds between two looks at the ledger, and between two tries with a server that fails: twice as long each time.
LOOK, FIRST_PAUSE, LONGEST_PAUSE = 1.0, 1.0, 30.0
# Seconds for which an answer is waited.
ANSWER = 10
# What MLflow says of what it will not take tomorrow either.
REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "PERMISSION_DENIED")


@dataclass(frozen=True)
class Watched:
    """The trials of a study, as they are in the ledger.

    Attributes:
        experiment: Where they go in MLflow.
        study: Its name.
        trials: Which, by their names.
        ledger: Where they are.
    """

    experiment: str
    study: str
    trials: Mapping[str, Asked]
    ledger: Ledger

    def look(self, name: str) -> Seen | None:
        """Return what there is of a trial, under the study's name of it; None where it has not begun.

        Only an entry of the ledger that it would train from is used: whole, of this key, and as it was written.
        """
        asked = self.trials[name]
        titles = {"name": name, "optimizer": asked.optimizer, "loss": asked.loss}
        if entry := self.ledger.find(asked.key):
            return Seen(entry.model_copy(update=titles), history.so_far(self.ledger.folder / asked.key / HISTORY))
        try:
            begun = BegunTrial.read(self.ledger.unfinished(asked.key) / TRIAL)
        except DataError:
            return None
        return Seen(begun.model_copy(update=titles), self.ledger.so_far(asked.key)) if begun.key == asked.key else None


def follow(watched: Watched, wanted: Callable[[], bool], once: bool = False) -> list[str]:
    """Mirror a study until all of its trials have ended and are sent, or nobody wants it any more.

    A server that does not answer, is slow or goes away is tried again and again; nothing is lost, since the ledger
    keeps it. What a server refuses of one trial keeps no other from being sent.

    Args:
        watched: The study.
        wanted: Asked before each look, and while a server is waited for, whether to go on.
        once: Whether to be content with what there is now.

    Returns:
        The names of the trials that have not ended.

    Raises:
        Deleted: The experiment was deleted, and takes nothing.
        Unauthenticated: The server does not accept the account that is set, or none is set.
        RegistryError: Not all is sent: MLflow refuses something, or does not answer, as the text says.
    """
    variables.expect_answers_within(ANSWER)
    left, refused, pause = set(watched.trials), dict[str, str](), FIRST_PAUSE
    while left and wanted():
        try:
            with tracking.connect() as client:
                mirror = Mirror(client, tracking.experiment(client, watched.experiment), watched.study)
                while left and wanted():
                    left -= _send(watched, mirror, left, refused)
                    pause = FIRST_PAUSE
                    if once:
                        break
                    _wait(LOOK if left else 0, wanted)
            if once:
                break
        except (Deleted, Unauthenticated):
            raise
        except (RegistryError, OSError) as error:
            _wait(pause, wanted)
            if not wanted():
                raise RegistryError(str(error)) from error
            log.debug("%s; it is tried again", error)
            pause = min(2 * pause, LONGEST_PAUSE)
    if refused:
        raise RegistryError("; ".join(f"MLflow refuses {name}: {reason}" for name, reason in sorted(refused.items())))
    return sorted(left)


def _send(watched: Watched, mirror: Mirror, names: Collection[str], refused: dict[str, str]) -> set[str]:
    """Send what there is of some trials; return which of them nothing more will come of, and note what is refused."""
    from mlflow.exceptions import MlflowException

    done = set()
    for name in sorted(names):
        seen = watched.look(name)
        if seen is None:
            continue
        try:
            mirror.send(seen)
        except MlflowException as error:
            if error.error_code not in REFUSALS:
                raise
            refused[name] = " ".join(str(error).split())[:300]
            done.add(name)
        if seen.has_ended:
            done.add(name)
    return done


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

    trials = {name: Asked(*asked) for name, asked in told["trials"].items()}
    try:
        return 1 if follow(Watched(told["experiment"], told["study"], trials, Ledger()), wanted) else 0
    except DegrainError as error:
        log.debug("%s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
