"""What the models that ship make of noisy photographs, as a picture for docs/quality.md.

The photographs are those inside scikit-image, and their noise is simulated: no picture of somebody else is copied.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.photographs import load
from degrain.ingest.datasets import photos
from degrain.machine import compute
from degrain.metrics.psnr import psnr
from degrain.noise import adding
from degrain.noise.camera import CameraNoise
from degrain.params.data import DataParams
from degrain.randomness import generator

# Photograph, top and left of the part that is shown, and the shot noise of its camera, a phone at ISO 4500, 100, 1300.
SHOWN = (("astronaut", 40, 150, 0.01), ("chelsea", 60, 100, 0.0005), ("coffee", 150, 150, 0.003))
SIDE, TIMES, GAP, LINE = 128, 2, 6, 18


def run(models: str = "best", to: str = "docs/quality.png") -> None:
    on = compute.prepare_torch("cpu", compute.threads())
    denoisers = {name: load(name, "float32", on) for name in models.split(",")}
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        assert photos.PHOTOS.download is not None
        photos.PHOTOS.download(Path(temporary), DataParams(dataset="photos"))
        for source, top, left, shot in SHOWN:
            file = next(one.file for one in photos.PHOTOGRAPHS if one.source == source)
            clean = np.asarray(Image.open(Path(temporary) / file).convert("RGB"))
            noise = CameraNoise(kind="camera", clean=0, gaussian=0, shot=(shot, shot), quality=(95, 98))
            noisy = adding.add(noise, clean, generator(0, source))
            made = {"noisy": noisy} | {name: one.image(noisy) for name, one in denoisers.items()} | {"clean": clean}
            part = np.s_[top : top + SIDE, left : left + SIDE]
            rows.append([(_title(name, image, clean), image[part]) for name, image in made.items()])
    Path(to).write_bytes(_drawn(rows))
    print("\n".join(", ".join(title for title, _ in row) for row in rows))


def _title(name: str, image: np.ndarray, clean: np.ndarray) -> str:
    return name if image is clean else f"{name}, {psnr(image[None], clean[None])[0]:.1f} dB"


def _drawn(rows: list[list[tuple[str, np.ndarray]]]) -> bytes:
    side = SIDE * TIMES
    size = (len(rows[0]) * (side + GAP) - GAP, len(rows) * (side + LINE))
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, shown in enumerate(rows):
        for column, (title, part) in enumerate(shown):
            place = (column * (side + GAP), row * (side + LINE))
            pen.text(place, title, "black", font)
            sheet.paste(
                Image.fromarray(part).resize((side, side), Image.Resampling.NEAREST), (place[0], place[1] + LINE)
            )
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
