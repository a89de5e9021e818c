"""Denoise a folder of images with a model that ships, and say how much each has changed.

python examples/denoise_folder.py photos/ denoised/ --model small --strength 0.8

`degrain denoise photos/ denoised/` does the same, keeps metadata and bit depth, and reads more formats; start from this
script where something else is to happen with the pixels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import degrain


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of PNG and JPEG files")
    parser.add_argument("target", type=Path, help="folder for the results, as PNG")
    parser.add_argument("--model", default="best", help="best or small, a folder with a trained model, or a trial")
    parser.add_argument("--strength", type=float, default=1.0, help="share of the noise that is removed, 0 to 1")
    asked = parser.parse_args()

    # Loaded once, and called with every image.
    denoiser = degrain.load(asked.model)
    asked.target.mkdir(parents=True, exist_ok=True)
    for path in sorted(asked.source.iterdir()):
        if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            continue
        with Image.open(path) as image:
            noisy = np.asarray(image.convert("RGB"))
        clean = denoiser(noisy, strength=asked.strength)
        Image.fromarray(clean).save(asked.target / f"{path.stem}.png")
        # What was removed, in 8-bit levels.
        removed = np.std(noisy.astype(float) - clean)
        print(f"{path.name}: {removed:.1f} levels of noise removed")


if __name__ == "__main__":
    main()
