"""Starting what mirrors trials to an MLflow server while they train: a process that costs training nothing."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from degrain.machine import variables
from degrain.params.study import Params

log = logging.getLogger(__name__)

# Run by name: this package, and with it every stage that trains, imports nothing of MLflow.
PROGRAM = ("-m", "degrain.registry.following")
# Seconds that are waited at the end.
PATIENCE = 10.0


@contextmanager
def mirrored(params: Params, prepared: Path) -> Iterator[None]:
    """Have trials mirrored to MLflow meanwhile, if MLFLOW_TRACKING_URI names a server.

    At the end it is waited for what is not sent yet, for `PATIENCE` seconds at most; a line says how to complete it.

    Args:
        params: The study.
        prepared: Folder of its patch store.
    """
    uri = variables.tracking_uri()
    if not uri.startswith(("http://", "https://")):
        yield
        return
    with subprocess.Popen([sys.executable, "-W", "ignore", *PROGRAM], stdin=subprocess.PIPE, text=True) as child:  # noqa: S603
        assert child.stdin is not None  # noqa: S101  (it is a pipe)
        told = {"params": params.model_dump(mode="json", by_alias=True), "prepared": str(prepared)}
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
