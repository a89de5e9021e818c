"""Reading and writing image files of 12 megapixels against Pillow and OpenCV: seconds, and their ratio."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import cv2
import numpy as np
import skimage.data
from PIL import Image

from benchmarks.common import table
from degrain.ingest.formats import png, reading, tiff
from degrain.ingest.formats.picture import Metadata

SIZE = (4000, 3000)


def run(rounds: int = 5) -> None:
    photograph = cv2.resize(skimage.data.astronaut(), SIZE, interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0).normal(0, 3, photograph.shape)
    flat = np.clip(photograph + noise, 0, 255).astype(np.uint8)
    deep = flat.astype(np.uint16) * 257
    files = {
        "JPEG": by_pillow(flat, "JPEG", quality=95),
        "PNG, 8 bits": png.encode(flat, Metadata()),
        "PNG, 16 bits": png.encode(deep, Metadata()),
        "TIFF, 8 bits, Deflate": tiff.encode(flat, False, Metadata()),
        "TIFF, 16 bits, Deflate": tiff.encode(deep, False, Metadata()),
    }
    rows: list[tuple[str, ...]] = [
        compared(
            f"read {name}",
            partial(reading.decode, data, name),
            partial(by_opencv if "16" in name else read_by_pillow, data),
            rounds,
        )
        for name, data in files.items()
    ]
    level = [cv2.IMWRITE_PNG_COMPRESSION, png.LEVEL]
    rows += [
        compared(
            "write PNG, 8 bits",
            lambda: png.encode(flat, Metadata()),
            lambda: by_pillow(flat, "PNG", compress_level=png.LEVEL),
            rounds,
        ),
        compared(
            "write PNG, 16 bits",
            lambda: png.encode(deep, Metadata()),
            lambda: cv2.imencode(".png", deep[..., ::-1], level),
            rounds,
        ),
    ]
    print(f"{SIZE[0]}x{SIZE[1]} pixels, RGB; the peer is Pillow for 8 bits and OpenCV for 16; {rounds} rounds.\n")
    table(("what", "seconds", "peer", "times as fast as the peer"), rows)


def by_pillow(pixels: np.ndarray, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def read_by_pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def by_opencv(data: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels[..., ::-1]


def compared(what: str, ours: Callable[[], Any], peer: Callable[[], Any], rounds: int) -> tuple[str, str, str, str]:
    """Take turns, so that both meet the same disturbances."""
    own: list[float] = []
    others: list[float] = []
    for _ in range(rounds):
        for way, times in ((ours, own), (peer, others)):
            start = time.perf_counter()
            way()
            times.append(time.perf_counter() - start)
    ratios = [other / mine for mine, other in zip(own, others, strict=True)]
    return what, f"{median(own):.2f}", f"{median(others):.2f}", f"{median(ratios):.2f}"
