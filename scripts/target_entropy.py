"""Print what no output can beat in binary cross-entropy: the entropy of the validation targets, for each camera.

Of the study that was prepared last: dvc exp run -S study=sinha2018 prepare && python scripts/target_entropy.py
"""

from __future__ import annotations

import pandas as pd
import typer
from scipy.special import entr

from degrain.evaluation import scoring
from degrain.patches.store import PatchStore
from degrain.pixels import to_unit
from degrain.stages import MANIFEST, PREPARED

if __name__ == "__main__":
    side = PatchStore.open(PREPARED).split("val")
    targets = to_unit(scoring.held_out(side)[1])
    entropy = (entr(targets) + entr(1 - targets)).mean(axis=(1, 2, 3))
    cameras = side.index["image"].map(pd.read_parquet(MANIFEST).set_index("path")["camera"])
    for camera, values in pd.Series(entropy).groupby(cameras.to_numpy()):
        typer.echo(f"{camera} {values.mean():.4f}")
    typer.echo(f"all {entropy.mean():.4f}")
