"""What a check finds, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """Something that does not hold.

    Attributes:
        what: What is wrong.
        todo: What to do about it; empty where `what` says it.
    """

    what: str
    todo: str = ""


@dataclass(frozen=True)
class Check:
    """What was held against what.

    Attributes:
        name: What is claimed, as it is said where it holds: "registered versions have their runs and files".
        count: How many things were looked at.
        findings: Those that do not hold.
        skipped: Why nothing was looked at; empty where something was.
    """

    name: str
    count: int = 0
    findings: tuple[Finding, ...] = ()
    skipped: str = ""


def told(checks: Sequence[Check]) -> Iterator[str]:
    """Yield a line for each check that holds or was skipped, then one for each finding."""
    for check in checks:
        if check.skipped:
            yield f"not checked: {check.name}: {check.skipped}"
        elif not check.findings:
            yield f"holds: {check.name} ({check.count})"
    for check in checks:
        for finding in check.findings:
            yield f"problem: {'; '.join(part for part in (finding.what, finding.todo) if part)}"


def as_json(checks: Sequence[Check]) -> dict[str, Any]:
    """Return checks as JSON can hold them."""
    return {"holds": not any(check.findings for check in checks), "checks": [asdict(check) for check in checks]}
