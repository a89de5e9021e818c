"""The metric protocol as a digest: scores with the same one may be compared."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from degrain import files
from degrain.artifacts.scores import Conditions
from degrain.machine import description
from degrain.networks import catalog
from degrain.params.results import EvaluateParams
from degrain.provenance import digests
from degrain.provenance.closure import CATALOGS, Closure, closure

if TYPE_CHECKING:
    import torch

# What measures, ranks and writes down what came of it.
ROOTS = ("degrain.evaluation.measurement", "degrain.evaluation.results")
BASELINES = "degrain.baselines.catalog"
NETWORKS = "degrain.networks.catalog"


def digest(model: str | None, data: str, params: EvaluateParams, conditions: Conditions) -> str:
    """Return the hash of everything that the scores of a method depend on beside a network's weights.

    Args:
        model: The network, by its name in the catalog, whose other networks do not count; None for the noisy input
            and the classical denoisers.
        data: Digest of the patch store.
        params: Of the evaluation; the parameters that decide a score of this method count.
        conditions: Where it is measured, and with which libraries.
    """
    spec = catalog.spec(model) if model else None
    found = _code(spec.modules if spec else (BASELINES,), CATALOGS if model is None else CATALOGS | {BASELINES})
    return files.digest(
        {
            "network": asdict(spec) if spec else None,
            "data": data,
            "settings": {"overlap": params.overlap} if spec and spec.fixed_size else {},
            "machine": conditions.machine,
            "code": digests.code(found),
            "versions": {name: conditions.versions.get(name) for name in digests.versions(found)},
        }
    )


def conditions(device: torch.device) -> Conditions:
    """Return under which conditions is measured here: with these all methods' digests can be computed elsewhere.

    Args:
        device: Where networks run, prepared by `degrain.machine.compute`.
    """
    import torch

    machine = description.kind(device)
    if device.type == "cpu":
        machine += f", {torch.get_num_threads()} threads"
    return Conditions(machine=machine, versions=versions())


def versions() -> dict[str, str]:
    """Return the versions of all libraries that measure, or that a method may import.

    Raises:
        ParamsError: The code of one may change while its version does not.
    """
    # NOTE: of the catalog's networks only: a file beside them that none of them needs measures nothing.
    networks = {module for spec in catalog.MODELS.values() for module in spec.modules}
    return digests.versions(_code((BASELINES, *sorted(networks)), frozenset({NETWORKS})))


def _code(modules: tuple[str, ...], without: frozenset[str]) -> Closure:
    return closure(*ROOTS, *modules, without=without)
