"""The metric protocol as a digest: scores with the same one may be compared."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from degrain import files
from degrain.machine import description
from degrain.networks import catalog
from degrain.params.results import EvaluateParams
from degrain.provenance import digests
from degrain.provenance.closure import CATALOGS, closure

if TYPE_CHECKING:
    import torch


def digest(model: str | None, data: str, params: EvaluateParams, device: torch.device) -> str:
    """Return the hash of everything that the scores of a method depend on beside a network's weights.

    Args:
        model: The network, by its name in the catalog, whose other networks do not count; None for the noisy input
            and the classical denoisers.
        data: Digest of the patch store.
        params: Of the evaluation; the parameters that decide a score of this method count.
        device: Where it is measured; its kind counts.
    """
    spec = catalog.spec(model) if model else None
    found = closure(
        "degrain.evaluation.scoring",
        "degrain.evaluation.summary",
        *(spec.modules if spec else ["degrain.baselines.catalog"]),
        without=CATALOGS,
    )
    return files.digest(
        {
            "network": asdict(spec) if spec else None,
            "data": data,
            "settings": {"overlap": params.overlap},
            "machine": description.kind(device),
            "code": digests.code(found),
            "versions": digests.versions(found),
        }
    )
