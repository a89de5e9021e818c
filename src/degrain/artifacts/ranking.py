"""The ranking that evaluate leaves for report and register: ranking.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from degrain import files
from degrain.artifacts.base import Part, Record

FILE = "ranking.json"


class Cell(Part):
    """One cell of the grid: a model, an optimizer and a loss, over all random seeds.

    Attributes:
        trials: Names of its trials.
        best_trial: The one with the best mean validation PSNR.
        seeds: How many trials.
        val_psnr, val_psnr_low, val_psnr_high: Mean over seeds and patches, and its interval, in dB.
        val_psnr_seed_std: Standard deviation over seeds, in dB; None of a single one.
        parameters: Of the network.
        seconds: Mean training time.
        test_psnr, test_ssim, photograph_psnr, photograph_ssim: Of the best trial; None without whole photographs.
    """

    model: str
    optimizer: str
    loss: str
    trials: list[str]
    best_trial: str
    seeds: int
    val_psnr: float
    val_psnr_low: float
    val_psnr_high: float
    val_psnr_seed_std: float | None
    parameters: int
    seconds: float
    test_psnr: float
    test_ssim: float
    photograph_psnr: float | None = None
    photograph_ssim: float | None = None


class Unranked(Part):
    """A trial without a result, and why."""

    name: str
    state: str
    reason: str


class Ranking(Record):
    """What ranking.json holds.

    Attributes:
        champion: Name of the best trial.
        cells: The grid, best first.
        identity: Scores of the noisy input.
        baselines: For each classical denoiser its settings and scores.
        sharpened: Scores of sharpened outputs, by the trial's name.
        cameras: For each camera the PSNR of each method.
        unranked: Trials that are not done.
        data_sha256: Digest of the patch store.
        table_sha256: SHA-256 of the table of scores that was ranked.
    """

    STAGE: ClassVar[str] = "evaluate"
    VERSION: ClassVar[int] = 1

    champion: str
    cells: list[Cell]
    identity: dict[str, float]
    baselines: dict[str, dict[str, Any]]
    sharpened: dict[str, dict[str, float]]
    cameras: dict[str, dict[str, float]]
    unranked: list[Unranked]
    data_sha256: str
    table_sha256: str

    def write(self, path: Path) -> None:
        """Write the record, atomically, without the scores of photographs where there are none."""
        files.write_json(path, self.model_dump(mode="json", exclude_unset=True))
