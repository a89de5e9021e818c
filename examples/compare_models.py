"""Compare two models on your own clean images with noise added: by how much is one better, and how sure is that?

python examples/compare_models.py best small photos/ --noise camera

The interval is over images, never over patches: a thousand patches of one photograph are no more evidence than a few.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import degrain


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", help="best or small, a folder with a trained model, or a trial")
    parser.add_argument("second", help="the same")
    parser.add_argument("photos", type=Path, help="folder of clean images, at least eight for an interval")
    parser.add_argument("--noise", default="gaussian", help=f"one of {', '.join(degrain.list_noise())}")
    parser.add_argument("--patch-size", type=int, default=64, help="side of the patches, in pixels")
    asked = parser.parse_args()

    with TemporaryDirectory() as work:
        # All images but the two that a store needs for training and validation are tested on.
        images = sum(1 for path in asked.photos.iterdir() if path.is_file())
        store = degrain.prepare(
            asked.photos,
            f"{work}/store",
            asked.noise,
            patch_size=asked.patch_size,
            val=1 / images,
            test=(images - 2) / images,
        )
        for measure, found in degrain.compare(asked.first, asked.second, store).items():
            print(f"{measure}\n{found.table.round(2).to_string()}\n{found}\n")


if __name__ == "__main__":
    main()
