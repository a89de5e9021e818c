"""What `degrain denoise` adds to the bare network for a photograph of 12 megapixels: time, and memory beside PyTorch.

Each measurement is a process of its own, and they take turns: the network on the pixels, in tiles of the same size and
without halos; tiles with halos; file to file.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import skimage.data
import torch

from benchmarks.common import table
from degrain.inference import denoise_files
from degrain.inference.denoiser import Denoiser
from degrain.ingest.formats import reading
from degrain.machine import compute
from degrain.networks import catalog

SIZE = (4000, 3000)
TILE = 1000


def run(net: str = "unet", rounds: int = 3) -> None:
    ways = ("bare network", "Denoiser.image", "JPEG to JPEG", "JPEG to PNG")
    with tempfile.TemporaryDirectory() as folder:
        photograph = cv2.resize(skimage.data.astronaut(), SIZE, interpolation=cv2.INTER_CUBIC)
        reading.write(Path(folder) / "in.jpg", reading.Picture(photograph))
        measured: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way in ways:
                command = [sys.executable, "-m", "benchmarks.files", net, way, folder]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                measured[way].append(tuple(json.loads(done.stdout)))
    rows = []
    for way in ways:
        speeds = [bare[0] / own[0] for bare, own in zip(measured[ways[0]], measured[way], strict=True)]
        seconds, memory = (median(column) for column in zip(*measured[way], strict=True))
        rows.append(
            (way, f"{seconds:.2f}", f"{median(speeds):.2f} ({min(speeds):.2f} - {max(speeds):.2f})", f"{memory:.0f}")
        )
    print(f"{net}, {SIZE[0]}x{SIZE[1]} pixels, {rounds} rounds.\n")
    table(("what", "seconds", "speed against the bare network", "peak memory beyond PyTorch, MB"), rows)


def measure(net: str, way: str, folder: Path) -> tuple[float, float]:
    """Return seconds, and MB that the peak grew by since PyTorch, the network and the image libraries were loaded."""
    device = compute.prepare_torch("cpu", compute.threads())
    network = catalog.build(net, 3, 64).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    denoiser = Denoiser(network, net, 3, 64)
    denoiser.image(np.zeros((64, 64, 3), np.uint8))
    pixels = reading.read(folder / "in.jpg").pixels if " to " not in way else None
    before, start = compute.peak_memory_mb(), time.perf_counter()
    if way == "bare network":
        assert pixels is not None
        for top in range(0, SIZE[1], TILE):
            for left in range(0, SIZE[0], TILE):
                tile = pixels[None, top : top + TILE, left : left + TILE].astype(np.float32) / np.float32(255)
                denoiser.outputs(tile)
    elif way == "Denoiser.image":
        assert pixels is not None
        denoiser.image(pixels)
    else:
        target = folder / f"out.{way.rpartition(' ')[2].lower()}"
        denoise_files.run(denoiser, [(folder / "in.jpg", target)], 1024, 32)
    return time.perf_counter() - start, compute.peak_memory_mb() - before


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
