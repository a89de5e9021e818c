"""Where trials come from, in words: what a report, MLflow and the page of reproductions say of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from degrain.artifacts.trial import TrialRecord


def commits(trials: Iterable[TrialRecord]) -> str:
    """Return the commit that trained some trials; of several each, with how many trials it trained."""
    return _together([trial.origin.commit for trial in trials])


def machine(trials: Iterable[TrialRecord]) -> dict[str, str]:
    """Return what a reader must know of the machine that trained some trials; what differs is told of each."""
    return _each([trial.origin.machine for trial in trials])


def computed(trials: Iterable[TrialRecord]) -> dict[str, str]:
    """Return how some trials were computed, whatever the study says by now; what differs is told of each."""
    return _each(
        [
            {
                "device": trial.place.device,
                "precision": trial.place.precision,
                "processes": str(trial.place.world),
                "instructions": trial.place.machine,
            }
            for trial in trials
        ]
    )


def versions(trials: Iterable[TrialRecord]) -> dict[str, str]:
    """Return with which versions some trials were trained; what differs is told of each."""
    return _each([{"degrain": trial.origin.degrain} | trial.versions for trial in trials])


def _each(told: Sequence[Mapping[str, str]]) -> dict[str, str]:
    names = dict.fromkeys(name for one in told for name in one)
    return {name: _together([one.get(name, "unknown") for one in told]) for name in names}


def _together(values: Sequence[str]) -> str:
    counted = Counter(values)
    if len(counted) == 1:
        return values[0]
    return ", ".join(f"{value} ({count} trial{'s' if count > 1 else ''})" for value, count in counted.most_common())
