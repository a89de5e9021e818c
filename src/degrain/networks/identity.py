"""Which network a name stands for, as a digest: weights belong to the code that they were trained with."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from degrain import files
from degrain.networks import catalog
from degrain.networks.base import ModelSpec
from degrain.provenance import digests
from degrain.provenance.closure import CATALOGS, closure


def facts(spec: ModelSpec) -> dict[str, Any]:
    """Return what the catalog says of a network that decides what it computes, ready for JSON."""
    return {name: value for name, value in asdict(spec).items() if name not in ("title", "source")}


def digest(name: str) -> str:
    """Return the hash of the code that builds and computes a network, and of what the catalog says of it.

    Args:
        name: A name of the catalog, whose other networks do not count.

    Raises:
        ModelError: There is no such network.
    """
    spec = catalog.spec(name)
    found = closure(*spec.modules, without=CATALOGS)
    return files.digest({"network": facts(spec), "code": digests.code(found)})
