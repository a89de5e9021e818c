"""What a person sees of a running grid."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from rich.progress import Progress, TaskID

from degrain.artifacts.history import Epoch
from degrain.artifacts.trial import TrialRecord
from degrain.training.trial import Trial

log = logging.getLogger(__name__)


class Board:
    """A bar for the trials, one for each that is being trained, and a line for each that has ended.

    Args:
        bars: Where they are drawn.
        trials: Those that are not in the ledger.
    """

    def __init__(self, bars: Progress, trials: Sequence[Trial]) -> None:
        self._bars = bars
        self._epochs = {trial.name: trial.params.epochs for trial in trials}
        self._all, self._ended = len(trials), 0
        self._total = bars.add_task("trials", total=len(trials), note="")
        self._tasks: dict[str, TaskID] = {}

    def show(self, name: str, event: Epoch | TrialRecord) -> None:
        """Show an epoch, or the end, of a trial."""
        if isinstance(event, Epoch):
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(name, total=self._epochs[name], note="")
            note = f"loss {event.train_loss:.5f}  PSNR {event.val_psnr:.2f} dB  {event.images_per_second:.0f} images/s"
            self._bars.update(self._tasks[name], completed=event.epoch, note=note)
            return
        self._leave(name)
        ended(name, event)
        self._count()

    def failed(self, name: str, reason: str, again: bool) -> None:
        """Show that a trial raised or was killed, and whether it is tried again."""
        self._leave(name)
        if again:
            log.warning("%-28s failed and is tried again: %s", name, reason)
        else:
            self._count()

    def _count(self) -> None:
        """Count a trial that has ended; the flow reads this line."""
        self._ended += 1
        self._bars.advance(self._total)
        log.info("%d of %d trials have ended", self._ended, self._all)

    def _leave(self, name: str) -> None:
        if name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))


def ended(name: str, trial: TrialRecord) -> None:
    """Say in a line how a trial ended."""
    if not trial.is_done:
        log.warning("%-28s %s: %s", name, trial.state, trial.reason)
        return
    early = f", stopped early after {trial.epochs_done}" if trial.epochs_done < trial.epochs else ""
    result = (trial.val_psnr, trial.loss, trial.val_loss, trial.seconds)
    log.info("%-28s val PSNR %.2f dB, %s %.5f, %.1f s%s", name, *result, early)
