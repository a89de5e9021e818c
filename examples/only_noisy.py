"""Train a denoiser on your own noisy images, of which no clean versions exist, and denoise them with it.

python examples/only_noisy.py scans/ denoised/

The network learns from every second pixel what the pixels between them show. That needs noise that is independent from
pixel to pixel (docs/only-noisy.md); other noise is refused, with the number. Ten images or more are better than three,
whose smaller side has at least twice --patch-size.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

import degrain


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of PNG files, all gray or all in color")
    parser.add_argument("target", type=Path, help="folder for the results, as PNG")
    parser.add_argument("--patch-size", type=int, default=128, help="side of the training patches, in pixels")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--keep", type=Path, help="folder for the trained model: degrain denoise --model takes it")
    asked = parser.parse_args()

    with TemporaryDirectory() as work:
        # Some images are held out, to see whether training helps; the others are cut into patches.
        store = degrain.prepare(
            asked.source, f"{work}/store", noise="unknown", patch_size=asked.patch_size, stride=asked.patch_size // 2
        )
        print(f"{store.counts['train']} patches to train on, {store.counts['val']} to validate with")
        trained = degrain.train(
            store,
            "unet",
            epochs=asked.epochs,
            ema=0.99,
            on_epoch=lambda epoch: print(f"epoch {epoch.epoch}: validation PSNR {epoch.val_psnr:.2f} dB"),
        )
    if asked.keep:
        trained.save(asked.keep)
    asked.target.mkdir(parents=True, exist_ok=True)
    for path in sorted(asked.source.glob("*.png")):
        with Image.open(path) as image:
            noisy = np.asarray(image)
        Image.fromarray(trained.denoiser(noisy)).save(asked.target / path.name)
        print(f"{path.name} denoised")


if __name__ == "__main__":
    main()
