"""The metric protocol as a digest: scores with the same one may be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from degrain import files
from degrain.networks import catalog
from degrain.provenance import digests
from degrain.provenance.closure import closure


def digest(model: str | None, data: str, settings: Mapping[str, int], machine: str) -> str:
    """Return the hash of everything that the scores of a method depend on beside a network's weights.

    Args:
        model: The network, by its name in the catalog, whose other networks do not count; None for the noisy input
            and the classical denoisers.
        data: Digest of the patch store.
        settings: Parameters of the evaluation that decide scores.
        machine: Kind of processor or GPU, see `degrain.machine.description.kind`.
    """
    spec = catalog.spec(model) if model else None
    found = closure(
        "degrain.evaluation.scoring",
        "degrain.evaluation.ranking",
        *(spec.modules if spec else ()),
        without=frozenset({"degrain.networks.catalog"}),
    )
    return files.digest(
        {
            "network": asdict(spec) if spec else None,
            "data": data,
            "settings": dict(settings),
            "machine": machine,
            "code": digests.code(found),
            "versions": digests.versions(found),
        }
    )
