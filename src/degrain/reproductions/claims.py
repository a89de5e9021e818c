"""What papers claim, number by number, and whether a number comes out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from degrain import files
from degrain.artifacts.reproduction import ReproducedTrial
from degrain.declaration import Section
from degrain.errors import ParamsError
from degrain.reproductions import CLAIMS


class Claim(Section):
    """One number of a paper.

    Attributes:
        paper, what: For the table.
        study: Of conf/study.
        model, optimizer, loss: The cell that claims it; the optimizer may be left out where the study has one.
        value: The validation loss after an epoch, the least up to it, or PSNR or SSIM on the validation blocks of SIDD,
            which `degrain sidd-validation` measures.
        epoch: Which one, from 1.
        claimed: The paper's number; None where it gives none.
        within: What counts as the same: least and most.
        needs: What a run needs that was not at hand, for a cell that has no record.
        about: What else one must know, in a sentence.
    """

    paper: str
    what: str
    study: str
    model: str
    optimizer: str | None = None
    loss: str
    value: Literal["val_loss", "best_val_loss", "blocks_psnr", "blocks_ssim"]
    epoch: int
    claimed: float | None = None
    within: tuple[float, float] | None = None
    needs: str = ""
    about: str = ""

    def made_by(self, trial: ReproducedTrial) -> bool:
        """Tell whether a trial is of the cell that claims this."""
        same = (trial.model, trial.loss) == (self.model, self.loss)
        return same and self.optimizer in (None, trial.optimizer)

    def measured(self, trial: ReproducedTrial) -> float | None:
        """Return what a trial of the cell has for it, None if it did not get so far or was not measured."""
        if self.value.startswith("blocks"):
            return trial.blocks.denoised[self.value.removeprefix("blocks_")] if trial.blocks else None
        losses = trial.val_loss[: self.epoch]
        if len(losses) < self.epoch:
            return None
        return losses[-1] if self.value == "val_loss" else min(losses)


def read(folder: Path) -> list[Claim]:
    """Read the claims.

    Raises:
        ParamsError: The file is missing, or an entry of it is wrong.
    """
    import yaml

    try:
        return TypeAdapter(list[Claim]).validate_python(yaml.safe_load(files.contents(folder / CLAIMS)))
    except FileNotFoundError:
        raise ParamsError(f"{folder / CLAIMS} is missing") from None
    except OSError as error:
        raise ParamsError(f"cannot read {folder / CLAIMS}: {error.strerror}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ParamsError(f"{folder / CLAIMS}: {' '.join(str(error).split())}") from error


def verdict(claim: Claim, measured: float) -> str:
    """Say whether a number comes out."""
    if not math.isfinite(measured):
        return "not finite"
    if claim.within is None:
        return "no claim"
    least, most = claim.within
    if least <= measured <= most:
        return "comes out"
    return "lower" if measured < least else "higher"
