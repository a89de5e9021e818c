"""Read the trials of a ledger and their learning curves into pandas.

python examples/read_ledger.py .degrain/trials --csv curves.csv

The ledger is the `folder` of `degrain.train`, or `.degrain/trials` of a project.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import degrain


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledger", type=Path, nargs="?", default=Path(".degrain/trials"))
    parser.add_argument("--csv", type=Path, help="also write all learning curves there, one row per trial and epoch")
    asked = parser.parse_args()

    trials = degrain.read_ledger(asked.ledger)
    done = trials[trials["state"] == "done"].sort_values("val_psnr", ascending=False)
    print(f"{len(trials)} trials, {len(done)} done")
    print(done[["name", "epochs_done", "val_psnr", "seconds"]].round(2).to_string(index=False))
    if len(done):
        curves = pd.concat(
            {row.name: degrain.read_history(asked.ledger / row.folder) for row in done.itertuples(index=False)},
            names=["trial", None],
        ).reset_index(level="trial")
        best = curves.loc[curves.groupby("trial")["val_psnr"].idxmax(), ["trial", "epoch", "val_psnr"]]
        print("best epoch of each:")
        print(best.round(2).to_string(index=False))
        if asked.csv:
            curves.to_csv(asked.csv, index=False)


if __name__ == "__main__":
    main()
