"""One promotion at a time in a registry, on whatever machine: a lock that plain MLflow can hold.

Nothing in MLflow compares before it sets. But of several who make a registered model of one name, one succeeds.
"""

from __future__ import annotations

import getpass
import hashlib
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from degrain.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

log = logging.getLogger(__name__)

# Seconds for which a turn has been seen that counts as forgotten, and between two looks at one that somebody else has.
FORGOTTEN, PAUSE = 600.0, 0.5
TOKEN, OWNER, PLACE = "degrain.token", "degrain.owner", "degrain.process"
_SAYS = "Held while a version is being promoted, and removed then; degrain takes it away after ten minutes."


@dataclass
class _Seen:
    """The turns of others that a waiter has seen, and since when by its own clock: those of machines may differ."""

    _since: dict[tuple[str, str], float] = field(default_factory=dict)

    def is_forgotten(self, held: RegisteredModel) -> bool:
        """Tell whether the owner of a turn has ended, or has been seen to have it for too long."""
        place = held.tags.get(PLACE, "")
        machine, _, rest = place.rpartition(" ")
        pid = rest.partition("/")[0]
        if machine and machine == _machine() and pid.isdigit() and _process(int(pid)) != place:
            return True
        now = time.monotonic()
        if now - self._since.setdefault((held.name, held.tags.get(TOKEN, "")), now) > FORGOTTEN:
            log.warning("the turn of %s is taken away after ten minutes", held.tags.get(OWNER, "somebody"))
            return True
        return False


@contextmanager
def turn(client: MlflowClient, model: str) -> Iterator[Callable[[], None]]:
    """Wait until nobody else promotes a version of a registered model, and keep others from it.

    A turn is taken from an owner whose process has ended, if it was one of this machine, and from any that has been
    seen to have it for ten minutes, with a warning.

    Args:
        client: The connection.
        model: The registered model's name.

    Yields:
        What raises RegistryError if the turn has been taken away meanwhile; to be called before an alias is moved.
    """
    name, token = lock_name(model), uuid.uuid4().hex
    told, seen = False, _Seen()
    while not _take(client, name, token):
        held = _find(client, name)
        if held is None:
            continue
        if seen.is_forgotten(held):
            _break(client, held, seen)
            continue
        if not told:
            log.info("waiting for %s, who promotes a version of %s", held.tags.get(OWNER, "somebody"), model)
            told = True
        time.sleep(PAUSE)

    def is_ours() -> bool:
        held = _find(client, name)
        return held is not None and held.tags.get(TOKEN) == token

    def require() -> None:
        if not is_ours():
            raise RegistryError(f"the turn to promote versions of {model} was lost after ten minutes; run it again")

    try:
        yield require
    finally:
        if is_ours():
            _remove(client, name)


def lock_name(model: str) -> str:
    """Return the name of the registered model that is the lock of another one; no study's model is called so."""
    return f"_turn-{hashlib.sha256(model.encode()).hexdigest()[:16]}"


def who() -> str:
    """Return who runs this, as the system says; nobody has checked it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _take(client: MlflowClient, name: str, token: str) -> bool:
    from mlflow.exceptions import MlflowException

    tags = {TOKEN: token, OWNER: who(), PLACE: _process(os.getpid())}
    try:
        client.create_registered_model(name, tags=tags, description=_SAYS)
    except MlflowException as error:
        # NOTE: MLflow looks for the other one before it says so, and finds none if that has just ended.
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"):
            raise
        return False
    return True


def _find(client: MlflowClient, name: str) -> RegisteredModel | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _break(client: MlflowClient, held: RegisteredModel, seen: _Seen) -> None:
    """Take a turn away; of several who want to, one does, or the turn of the next one would be taken away, too."""
    name = f"{held.name}-{held.tags.get(TOKEN, '')[:32]}"
    if _take(client, name, uuid.uuid4().hex):
        found = _find(client, held.name)
        if found is not None and found.tags.get(TOKEN) == held.tags.get(TOKEN):
            _remove(client, held.name)
        _remove(client, name)
    else:
        time.sleep(PAUSE)
        stale = _find(client, name)
        if stale is not None and seen.is_forgotten(stale):
            _remove(client, name)


def _remove(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):
        client.delete_registered_model(name)


def _process(pid: int) -> str:
    """Name a process of this machine by its number and the time of its start; without a time if it is not there."""
    began = ""
    with suppress(OSError):
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        began = "" if state == "Z" else rest[18]
    return f"{_machine()} {pid}/{began}"


def _machine() -> str:
    """Name this boot of this machine, and this container on it; "" where the system does not say."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    return ""
