"""Whether the aliases, and the weights of versions, are what the journal of promotions says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from degrain.artifacts.registration import Promotion
from degrain.errors import RegistryError
from degrain.registry import aliases, journal, tags, turns
from degrain.registry.aliases import CHAMPION, PREVIOUS
from degrain.registry.checks import Check, Finding

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def agree(
    client: MlflowClient,
    name: str,
    versions: Sequence[ModelVersion],
    champion: ModelVersion | None,
    copy: Path | None,
) -> Iterator[Check]:
    """The aliases are where the journal says, and its weights are those of the versions."""
    agrees = "aliases are where the journal of promotions says"
    try:
        entries, begun = journal.read_all(client, name)
    except RegistryError as error:
        yield Check(agrees, findings=(Finding(str(error)),))
        return
    if begun and aliases.number(champion) in (begun.before, begun.version):
        findings = [
            Finding(
                f"the promotion of version {begun.version} of {name}, {begun.at}, was broken off",
                f"do it again: dvc repro -f -s register, or degrain promote {begun.version} --reason ...",
            )
        ]
    else:
        findings = list(_moved(client, name, entries, champion))
    yield Check(agrees, len(entries), tuple(findings))
    weights = {str(version.version): version.tags.get(tags.WEIGHTS) for version in versions}
    others = [entry for entry in entries if weights.get(entry.version, entry.weights_sha256) != entry.weights_sha256]
    yield Check(
        "the journal names the weights of the versions",
        len(entries),
        tuple(_other_weights(entry) for entry in others),
    )
    if copy is not None and copy.exists():
        yield Check(f"{copy} is a copy of the journal", len(entries), tuple(_uncopied(name, entries, copy, champion)))


def _uncopied(name: str, entries: Sequence[Promotion], copy: Path, champion: ModelVersion | None) -> Iterator[Finding]:
    """How the copy of the journal differs from it; what others have promoted since may be missing."""
    lines = copy.read_text(encoding="utf-8", errors="replace").splitlines()
    wanted = [entry.model_dump_json() for entry in entries]
    what = f"{copy} is no copy of the journal of {name}"
    if lines == wanted[: len(lines)]:
        if all(entry.who != turns.who() for entry in entries[len(lines) :]):
            return
        what = f"{copy} has only the first {len(lines)} of {len(wanted)} promotions of {name}"
    by_hand = f"degrain promote {champion.version} --reason ... or " if champion else ""
    yield Finding(what, f"{by_hand}dvc repro -f -s register writes it anew")


def _other_weights(entry: Promotion) -> Finding:
    return Finding(
        f"the journal says of version {entry.version} of {entry.model}, promoted {entry.at}, that its weights are "
        f"{entry.weights_sha256[:12]}, and the version's tag {tags.WEIGHTS} says otherwise",
        "one of the two was changed by hand: set it back",
    )


def _moved(
    client: MlflowClient, name: str, entries: Sequence[Promotion], champion: ModelVersion | None
) -> Iterator[Finding]:
    """Aliases that were moved without a line in the journal."""
    held = aliases.number(champion)
    said = entries[-1].version if entries else None
    if held != said:
        keep = f"; to keep version {held}, take the alias away in MLflow, then degrain promote {held}" if held else ""
        yield Finding(
            f"the alias {CHAMPION} of {name} is at {_at(held)}, and the journal says {_at(said)}",
            f"degrain promote {said} --reason ... sets it back{keep}" if said else keep.removeprefix("; "),
        )
        return
    previous = aliases.number(aliases.current(client, name, PREVIOUS))
    before = entries[-1].before if entries else None
    if previous is not None and previous != before:
        yield Finding(
            f"the alias {PREVIOUS} of {name} is at {_at(previous)}, and the journal says {_at(before)}",
            "set it in MLflow; nothing but people reads it",
        )


def _at(number: str | None) -> str:
    return f"version {number}" if number else "no version"
