"""What `degrain denoise` adds to the bare network for a photograph of 12 megapixels: time, and memory beside PyTorch.

Each measurement is a process of its own, and they take turns: the network on the pixels, in pieces of 1000x1000 without
halos; tiles with halos; file to file. Of a folder, the time of one photograph is given.
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
from degrain.inference.denoiser import TILE, Denoiser
from degrain.inference.recipe import Recipe
from degrain.ingest.formats import reading, writing
from degrain.ingest.formats.picture import Picture
from degrain.machine import compute
from degrain.networks import catalog

SIZE = (4000, 3000)
BARE = 1000
FOLDER = 4


def run(net: str = "unet", rounds: int = 3, precision: str = "float32") -> None:
    ways = ("bare network", "Denoiser.image", "JPEG to JPEG", "JPEG to PNG", f"{FOLDER} x JPEG to JPEG")
    with tempfile.TemporaryDirectory() as folder:
        photograph = cv2.resize(skimage.data.astronaut(), SIZE, interpolation=cv2.INTER_CUBIC)
        writing.write(Path(folder) / "in.jpg", Picture(photograph))
        writing.write(Path(folder) / "small.jpg", Picture(photograph[:64, :64]))
        measured: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way in ways:
                command = [sys.executable, "-m", "benchmarks.files", net, way, folder, precision]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                measured[way].append(tuple(json.loads(done.stdout)))
    rows = []
    for way in ways:
        speeds = [bare[0] / own[0] for bare, own in zip(measured[ways[0]], measured[way], strict=True)]
        seconds, memory = (median(column) for column in zip(*measured[way], strict=True))
        rows.append(
            (way, f"{seconds:.2f}", f"{median(speeds):.2f} ({min(speeds):.2f} - {max(speeds):.2f})", f"{memory:.0f}")
        )
    print(f"{net}, {SIZE[0]}x{SIZE[1]} pixels, {precision}, {rounds} rounds.\n")
    table(("what", "seconds", "speed against the bare network", "peak memory beyond PyTorch, MB"), rows)


def measure(net: str, way: str, folder: Path, precision: str) -> tuple[float, float]:
    """Return seconds, and MB that the peak grew by since PyTorch, the network and the image libraries were loaded."""
    device = compute.prepare_torch("cpu", compute.threads())
    network = catalog.build(net, 3, 64).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    denoiser = Denoiser(network, net, 3, 64, precision=precision)
    denoise_files.run(Recipe(denoiser, TILE, 32), [(folder / "small.jpg", folder / "small.png")])
    pixels = reading.read(folder / "in.jpg").pixels if " to " not in way else None
    before, start = compute.peak_memory_mb(), time.perf_counter()
    if way == "bare network":
        assert pixels is not None
        for top in range(0, SIZE[1], BARE):
            for left in range(0, SIZE[0], BARE):
                tile = pixels[None, top : top + BARE, left : left + BARE].astype(np.float32) / np.float32(255)
                denoiser.outputs(tile)
    elif way == "Denoiser.image":
        assert pixels is not None
        denoiser.image(pixels)
    else:
        suffix, times = way.rpartition(" ")[2].lower(), FOLDER if way.startswith(f"{FOLDER} x") else 1
        pairs = [(folder / "in.jpg", folder / f"{i}.{suffix}") for i in range(times)]
        denoise_files.run(Recipe(denoiser, TILE, 32), pairs)
        return (time.perf_counter() - start) / times, compute.peak_memory_mb() - before
    return time.perf_counter() - start, compute.peak_memory_mb() - before


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4])))
