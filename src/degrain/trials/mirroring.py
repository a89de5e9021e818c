"""Starting what mirrors trials to an MLflow server while they train: a process that costs training nothing."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

from degrain.machine import variables
from degrain.params.study import Params
from degrain.training.trial import Trial

log = logging.getLogger(__name__)

# Run by name: this package, and with it every stage that trains, imports nothing of MLflow.
PROGRAM = ("-m", "degrain.registry.following")
# Seconds that are waited at the end.
PATIENCE = 10.0


class Asked(NamedTuple):
    """A trial that is asked for: its key in the ledger, and the study's names of its optimizer and loss."""

    key: str
    optimizer: str
    loss: str


def asked(trials: Iterable[Trial], key_of: Callable[[Trial], str]) -> dict[str, Asked]:
    """Return trials as they are asked for, by their names."""
    return {trial.name: Asked(key_of(trial), trial.optimizer.title, trial.loss.title) for trial in trials}


@contextmanager
def mirrored(params: Params, trials: Mapping[str, Asked]) -> Iterator[None]:
    """Have trials mirrored to MLflow meanwhile, if MLFLOW_TRACKING_URI names a server.

    At the end it is waited for what is not sent yet, for `PATIENCE` seconds at most; a line says how to complete it.

    Args:
        params: The study.
        trials: Those that are trained.
    """
    uri = variables.tracking_uri()
    if not uri.startswith(("http://", "https://")):
        yield
        return
    told = {"experiment": params.register_.name, "study": params.study.name, "trials": trials}
    with subprocess.Popen([sys.executable, "-W", "ignore", *PROGRAM], stdin=subprocess.PIPE, text=True) as child:  # noqa: S603
        assert child.stdin is not None  # noqa: S101  (it is a pipe)
        with suppress(OSError):  # it has ended already
            child.stdin.write(f"{json.dumps(told)}\n")
            child.stdin.flush()
        try:
            yield
        finally:
            with suppress(OSError):
                child.stdin.close()
            try:
                code = child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                code = 1
            if code:
                log.warning("not all trials are in MLflow at %s yet; to complete it, run: degrain publish", uri)
