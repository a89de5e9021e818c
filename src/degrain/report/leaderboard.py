"""SIDD in the literature, beside what a study on SIDD measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from degrain.artifacts.ranking import Cell
from degrain.baselines.catalog import BASELINES
from degrain.evaluation import ranking
from degrain.networks import catalog
from degrain.report.literature import SIDD, Row

if TYPE_CHECKING:
    from degrain.report.material import Material

SIDE = 256  # pixels of the literature's blocks


@dataclass(frozen=True)
class Leaderboard:
    """The section's rows.

    Attributes:
        ours: On the test patches, the best cell of each network, the champion first; the best classical denoiser; the
            noisy input.
        literature: The best first.
    """

    ours: list[Row]
    literature: tuple[Row, ...] = SIDD


def sidd(material: Material) -> Leaderboard | None:
    """Make the section of a study of SIDD's own noise in sRGB; None for other studies.

    Args:
        material: Of the report.
    """
    store = material.store
    if not material.params.data.dataset.startswith("sidd-"):
        return None
    if store.channels != 3 or not store.noise.paired:
        return None
    ours = [_network(cell) for cell in ranking.best_of_models(material.ranking.cells)]
    if best := ranking.best_baseline(material.ranking.baseline_scores):
        scores = material.ranking.baselines[best].scores
        ours.append(_measured(BASELINES[best].title, scores, "best classical denoiser"))
    ours.append(_measured("Noisy input", material.ranking.identity, ""))
    return Leaderboard(ours)


def _measured(method: str, scores: dict[str, float], source: str) -> Row:
    return Row(method, scores["test_psnr"], scores["test_ssim"], source)


def _network(cell: Cell) -> Row:
    spec = catalog.spec(cell.model)
    return Row(
        spec.title,
        cell.scores["test_psnr"],
        cell.scores["test_ssim"],
        f"{cell.best_trial}; network: {spec.source}",
        parameters=cell.parameters / 1e6,
        gmacs=_gmacs(cell.model),
    )


def _gmacs(model: str) -> float | None:
    """Count for a whole block; a network of one size cannot take it."""
    from degrain.networks import overview

    spec = catalog.spec(model)
    if spec.fixed_size or spec.problem(SIDE):
        return None
    return overview.macs(catalog.build(model, 3, SIDE), 3, SIDE) / 1e9
