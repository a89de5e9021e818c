"""What register decided, in words: who was compared with whom, what came of it, and why."""

from __future__ import annotations

from itertools import groupby

from degrain.artifacts.registration import FIRST, PROMOTED, REFUSED, UNOPPOSED, Registration
from degrain.evaluation import gate, summary


def comparisons(made: Registration) -> list[str]:
    """Return a line for each rival: both scores by each measure, the gain, how much is needed, and the outcome."""
    lines = []
    for rival, of_rival in groupby(made.gate, key=lambda verdict: verdict.rival):
        verdicts = list(of_rival)
        needed = f"more than {verdicts[0].needed:g} {summary.metric_of(verdicts[0].measure).unit} needed"
        outcome = "passed" if all(verdict.passed for verdict in verdicts) else "not passed"
        lines.append(f"{made.trial} against {rival}: {', '.join(map(gate.comparison, verdicts))}; {needed}: {outcome}")
    return lines


def conclusion(made: Registration) -> str:
    """Return what was decided and why, in one line."""
    new, old = f"version {made.version} of {made.model}", f"version {made.before} of {made.model}"
    against = "; ".join(made.refused)
    if made.decision == REFUSED:
        kept = f"{old} stays the champion" if made.before else f"{made.model} has no champion"
        kept += f", and cannot be used ({made.unusable})" if made.unusable else ""
        return f"{made.trial} is not promoted: {against}; {kept}"
    if made.decision == FIRST:
        return f"{made.trial} is the first champion, {new}: it beats every rival"
    if made.decision == PROMOTED:
        return f"{made.trial} is the champion, {new}: it beats every rival, and the champion before, {old}"
    if made.decision == UNOPPOSED:
        return (
            f"{made.trial} is the champion, {new}: it beats every rival, and the champion before, {old}, could not be "
            f"compared ({made.unusable})"
        )
    doubt = f"; the gate would refuse it today: {against}" if against else ""
    return f"{made.trial} already was the champion, {new}: the same weights{doubt}"
