"""A network of your own in one file: declared, trained beside one of degrain's, compared with it, saved and loaded.

python examples/own_network.py photos/ --epochs 10

Nothing of it needs a clone of degrain. To give it a place in studies, reports and the registry, see docs/extending.md:
the same class and function go into a file of src/degrain/networks.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor, nn

import degrain


class Shallow(nn.Module):
    """Three convolutions of 3x3 pixels that predict the noise."""

    def __init__(self, channels: int, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, channels, 3, padding=1),
        )

    def forward(self, noisy: Tensor) -> Tensor:
        """From (N, C, H, W) in [0, 1] to the same shape."""
        denoised: Tensor = noisy - self.layers(noisy)
        return denoised


# No output depends on pixels more than 3 away: degrain measures that before it trains, and cuts large images into tiles
# by it.
@degrain.register_network("shallow", radius=3, title="Three convolutions")
def shallow(channels: int, _size: int) -> nn.Module:
    """Build it; the size of the patches matters only to networks that take one size."""
    return Shallow(channels)


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of clean images, all gray or all in color")
    parser.add_argument("--patch-size", type=int, default=64, help="side of the training patches, in pixels")
    parser.add_argument("--epochs", type=int, default=10)
    asked = parser.parse_args()

    with TemporaryDirectory() as work:
        noise = {"kind": "gaussian", "sigma": 25}
        store = degrain.prepare(asked.photos, f"{work}/store", noise, patch_size=asked.patch_size, test=0.3)
        own = degrain.train(store, "shallow", epochs=asked.epochs, schedule="cosine")
        other = degrain.train(store, "unet", epochs=asked.epochs, schedule="cosine")
        for trained in (own, other):
            parameters = sum(weights.numel() for weights in trained.denoiser.network.parameters())
            print(f"{trained.record.model}: {parameters} weights, {trained.record.val_psnr:.2f} dB")
        # On whole held-out images, source by source.
        print(degrain.compare(other.denoiser, own.denoiser, store)["test_psnr"])

        # Its weights are loaded by whoever has run this file as it is now.
        own.save(f"{work}/shallow")
        print(degrain.load(f"{work}/shallow"))


if __name__ == "__main__":
    main()
