"""The measure that the literature uses: Gaussian noise that is not clipped, on BSD68, Set12 and CBSD68, beside what
papers report; and a picture of PSNR against cost.

    python -m benchmarks literature models=results/trials/resunet-medium/resunet-medium-adam-mse

The images come from DEGRAIN_MIRROR. As in the papers' code, an output is clipped and rounded to 8 bits, and the PSNR is
the mean of those of the images. Noise is drawn anew for each image, by a seed of its own.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np
from PIL import Image

from benchmarks import common
from benchmarks.photographs import load
from degrain import figures
from degrain.inference.denoiser import Denoiser
from degrain.machine import compute
from degrain.metrics.psnr import psnr
from degrain.networks import overview
from degrain.pixels import from_unit
from degrain.randomness import generator

# By channels: the archives of test images.
SETS = {1: {"BSD68": "BSD68.zip", "Set12": "Set12.zip"}, 3: {"CBSD68": "CBSD68.zip"}}
# PSNR at sigma 25 on BSD68 and CBSD68: as FFDNet's and DRUNet's authors have it in their tables; those of Restormer as
# its own paper is quoted. Thousands of multiplications a pixel of a gray image: of DnCNN, FFDNet and DRUNet counted
# from their layers, of Restormer 140 G for 256x256 pixels (Chen et al., "Simple baselines for image restoration", ECCV
# 2022).
PUBLISHED: dict[str, tuple[float, float | None, float | None]] = {
    "BM3D (Dabov et al. 2007)": (28.57, 30.71, None),
    "WNNM (Gu et al. 2014)": (28.83, None, None),
    "DnCNN (Zhang et al. 2017)": (29.23, 31.23, 555),
    "FFDNet (Zhang et al. 2018)": (29.19, 31.21, 121),
    "DRUNet (Zhang et al. 2021)": (29.48, 31.69, 2115),
    "Restormer (Zamir et al. 2022)": (29.52, 31.79, 2140),
}
SIDE = 512


def run(models: str, sigmas: str = "25", precision: str = "float32", to: str = "") -> None:
    on = compute.prepare_torch("cpu", compute.threads())
    # The literature measures networks, and knows the noise.
    denoisers = {Path(name): replace(load(name, precision, on), keeps_texture=False) for name in models.split(",")}
    rows: list[tuple[object, ...]] = []
    points = []
    for path, denoiser in denoisers.items():
        cost = overview.macs(denoiser.network, denoiser.channels, SIDE) / SIDE**2 / 1000
        speed = common.megapixels_a_second(denoiser, 2 * SIDE)
        for name, archive in SETS[denoiser.channels].items():
            images = _images(archive, denoiser.channels)
            for sigma in map(float, str(sigmas).split(",")):
                once, ensemble = (
                    _measured(method, images, name, sigma) for method in (denoiser.image, _ensemble(denoiser))
                )
                rows.append(
                    (path.name, name, f"{sigma:g}", f"{once:.2f}", f"{ensemble:.2f}", f"{cost:.0f}", f"{speed:.2f}")
                )
                if name == "BSD68" and sigma == 25:
                    points.append((denoiser.model, once, cost))
    common.table(("model", "images", "sigma", "PSNR", "of 8 views", "kMACs a pixel", "megapixels a second"), rows)
    print("\nPublished, at sigma 25:\n")
    common.table(
        ("method", "BSD68", "CBSD68", "kMACs a pixel"),
        [(name, *("" if one is None else one for one in found)) for name, found in PUBLISHED.items()],
    )
    if to:
        Path(to).write_text(_drawn(points))


def _images(archive: str, channels: int) -> list[np.ndarray]:
    with zipfile.ZipFile(Path(os.environ["DEGRAIN_MIRROR"]) / "denoising" / archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith((".png", ".jpg")))
        found = [np.asarray(Image.open(io.BytesIO(opened.read(name)))) for name in names]
    return [image.reshape(*image.shape[:2], channels) for image in found]


def _measured(method: Callable[[np.ndarray], np.ndarray], images: list[np.ndarray], name: str, sigma: float) -> float:
    ratios = []
    for number, clean in enumerate(images):
        noise = generator(0, f"{name} {sigma:g}", number).standard_normal(clean.shape, np.float32)
        noisy = clean + np.float32(sigma) * noise
        ratios.append(float(psnr(method(noisy)[None], clean[None])[0]))
    return mean(ratios)


def _ensemble(denoiser: Denoiser) -> Callable[[np.ndarray], np.ndarray]:
    """The mean of what is made of the eight turned and mirrored images, as 8 bits."""

    def denoised(noisy: np.ndarray) -> np.ndarray:
        total = np.zeros(noisy.shape, np.float32)
        for mirrored in (False, True):
            for turns in range(4):
                view = np.rot90(noisy[:, ::-1] if mirrored else noisy, turns)
                made = np.empty(view.shape, np.float32)
                for rows, columns, pixels in denoiser.tiles(np.ascontiguousarray(view)):
                    made[rows, columns] = pixels
                back = np.rot90(made, -turns)
                total += back[:, ::-1] if mirrored else back
        return from_unit(total / 8, np.dtype(np.uint8))

    return denoised


def _drawn(points: list[tuple[str, float, float]]) -> str:
    """Draw PSNR on BSD68 against cost: ours, and what papers report."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    published = [(name, found[0], found[2]) for name, found in PUBLISHED.items() if found[2] is not None]
    with mpl.rc_context(figures.STYLE):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        for color, methods in zip(figures.COLORS, (points, published), strict=False):
            for name, ratio, cost in methods:
                axes.plot(cost, ratio, "o", color=color)
                axes.annotate(name, (cost, ratio), xytext=(5, 4), textcoords="offset points", fontsize=8, color=color)
        for name, (ratio, _, unknown) in PUBLISHED.items():
            if unknown is None:
                axes.axhline(ratio, color="#94a3b8", linestyle=":", linewidth=1)
                axes.annotate(name, (0.01, ratio), xycoords=("axes fraction", "data"), fontsize=8, color="#64748b")
        axes.set_xscale("log")
        axes.set_xlim(10, 20_000)
        axes.set_xlabel("thousands of multiplications a pixel")
        axes.set_ylabel("PSNR on BSD68 at sigma 25, dB")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
