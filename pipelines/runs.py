"""What the flows have in common: the name of a run, and how one ends that went wrong."""

from __future__ import annotations

import os
import re
from typing import Any

from dvc.exceptions import DvcException
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Failed

from degrain.errors import DegrainError, printable
from pipelines.ends import End
from pipelines.processes import StageFailed

# What a flow is expected to meet; anything else is a fault of its own, and Prefect shows where.
EXPECTED = (StageFailed, DegrainError, DvcException)


def name() -> str:
    """Return a name for folders and experiments: that of Prefect's run, and as much of its id as tells it apart."""
    told = re.sub(r"[^A-Za-z0-9-]+", "-", str(flow_run.name or "run")).strip("-") or "run"
    return f"{told}-{str(flow_run.id or os.getpid())[:8]}"


def failed(error: Exception) -> State[Any]:
    """Return the state of a run that went wrong; it is named Mistake where trying again would not help."""
    mistake = error.mistake if isinstance(error, StageFailed) else True
    return Failed(message=printable(str(error)), name=End.of(mistake))
