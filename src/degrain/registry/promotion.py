"""How the champion's alias moves: by the gate, by hand, or back.

The order of the steps is that of their weight. Whatever is broken off before the last one, the move of the alias, has
not happened, and the same again completes it; only `previous` may have moved, which people read and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from degrain.errors import ParamsError, RegistryError, printable
from degrain.registry import aliases, journal, loading, tags
from degrain.registry.aliases import CHALLENGER, CHAMPION, PREVIOUS
from degrain.registry.turns import turn

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def promote(client: MlflowClient, version: ModelVersion, reason: str, require: Callable[[], None]) -> None:
    """Give a version the champion's alias, and the one that has it the alias `previous`.

    Args:
        client: The connection.
        version: Which; nothing is done for the champion.
        reason: Why, for the journal.
        require: What refuses to go on without the turn, see `degrain.registry.turns`.
    """
    name, number = version.name, str(version.version)
    before = aliases.number(aliases.current(client, name))
    journal.settle(client, name, before)
    if before == number:
        return
    require()
    if before:
        client.set_registered_model_alias(name, PREVIOUS, before)
    challenger = aliases.current(client, name, CHALLENGER)
    if challenger and (aliases.number(challenger) == number or tags.has_weights(challenger, tags.weights(version))):
        client.delete_registered_model_alias(name, CHALLENGER)
    if tags.REFUSED in version.tags:
        client.delete_model_version_tag(name, number, tags.REFUSED)
    journal.begin(client, version, before, reason)
    client.set_registered_model_alias(name, CHAMPION, number)
    journal.settle(client, name, number)


def challenge(client: MlflowClient, version: ModelVersion, reasons: list[str], require: Callable[[], None]) -> None:
    """Give a version that the gate refuses the alias `challenger`, and say at it why it was refused."""
    require()
    journal.settle(client, version.name, aliases.number(aliases.current(client, version.name)))
    client.set_model_version_tag(version.name, str(version.version), tags.REFUSED, tags.cut("; ".join(reasons)))
    client.set_registered_model_alias(version.name, CHALLENGER, str(version.version))


def by_hand(client: MlflowClient, name: str, number: str, reason: str) -> str | None:
    """Make a version the champion because a person says so; the gate is not asked.

    Args:
        client: The connection.
        name: Of the registered model.
        number: Of the version.
        reason: Why.

    Returns:
        The number of the version that was the champion before, if one was.

    Raises:
        ParamsError: The reason is blank or too long.
        RegistryError: There is no such version, it cannot be used, or it is the champion already.
    """
    reason = _line(reason)
    with turn(client, name) as require:
        version = client.get_model_version(name, number)
        loading.proven(client, version)
        before = aliases.number(aliases.current(client, name))
        if before == number:
            if broken_off := journal.settle(client, name, before):
                return broken_off.before
            raise RegistryError(f"version {number} of {name} is the champion already")
        if tags.WITHDRAWN in version.tags:
            client.delete_model_version_tag(name, number, tags.WITHDRAWN)
        promote(client, version, reason, require)
    return before


def roll_back(client: MlflowClient, name: str, reason: str) -> tuple[str, str]:
    """Make the version that was the champion before the present one the champion again.

    The version that loses the alias gets it back by hand alone: neither `register` nor another roll-back promotes it.

    Args:
        client: The connection.
        name: Of the registered model.
        reason: Why.

    Returns:
        The numbers of the version that was the champion, and of the one that is now.

    Raises:
        ParamsError: The reason is blank or too long.
        RegistryError: There is no champion, or none was before it, or that one cannot be used.
    """
    reason = _line(reason)
    with turn(client, name) as require:
        holder = aliases.number(aliases.current(client, name))
        if holder is None:
            raise RegistryError(f"{name} has no champion")
        journal.settle(client, name, holder)
        version = _before(client, name, holder)
        loading.proven(client, version)
        require()
        client.set_model_version_tag(name, holder, tags.WITHDRAWN, tags.cut(reason))
        promote(client, version, reason, require)
    return holder, str(version.version)


def _line(reason: str) -> str:
    """Return a person's reason as one line that every registry can hold, and that JSON makes little longer.

    Raises:
        ParamsError: It is blank, or longer than the journal takes.
    """
    if not (line := printable(" ".join(reason.split()))):
        raise ParamsError("--reason is blank; say why, for the journal")
    if len(line) > journal.REASON:
        raise ParamsError(
            f"--reason has {len(line):,} characters, and the journal takes {journal.REASON:,}; shorten it"
        )
    return line


def _before(client: MlflowClient, name: str, holder: str) -> ModelVersion:
    """Return the version that was the champion last before the present one, and was not rolled back itself.

    Raises:
        RegistryError: There is none.
    """
    there = {str(one.version): one for one in client.search_model_versions(f"name = '{name}'")}
    for entry in reversed(journal.read(client, name)):
        version = there.get(entry.version)
        if version is not None and entry.version != holder and tags.WITHDRAWN not in version.tags:
            return version
    raise RegistryError(
        f"no other version of {name} was the champion before version {holder} and was not rolled back itself; "
        "degrain promote makes any version the champion"
    )
