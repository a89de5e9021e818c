"""How the runs of flows end: the names of their states, which Prefect's pages show and automations wait for."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class End(StrEnum):
    """Names of the states in which runs of flows end; of stages, Prefect has names of its own."""

    COMPLETED = "Completed"
    UNCHANGED = "Unchanged"
    SAME = "Same"
    DRIFT = "Drift"
    PROMOTED = "Promoted"
    REFUSED = "Refused"
    CANCELLED = "Cancelled"
    FAILED = "Failed"
    MISTAKE = "Mistake"
    CRASHED = "Crashed"

    @classmethod
    def of(cls, mistake: bool) -> Self:
        """Return how a run ends that went wrong: as a mistake where trying again would not help."""
        return cls.MISTAKE if mistake else cls.FAILED
