"""A small prepared store, and a table."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from degrain.artifacts.validation import Asked
from degrain.ingest.datasets import manifest, photos
from degrain.ingest.formats.containers import Containers
from degrain.params.data import DataParams, ValidateParams
from degrain.params.study import Params, load_params
from degrain.patches import preparation
from degrain.patches.store import PatchStore
from degrain.randomness import generator

if TYPE_CHECKING:
    from degrain.inference.denoiser import Denoiser

# What the study of a benchmark that makes its own images asks of them.
OWN_IMAGES = Asked(data=DataParams(dataset="folder"), validation=ValidateParams())


@contextmanager
def quickstart() -> Iterator[tuple[Params, PatchStore]]:
    """The quickstart study with its patches prepared in a temporary folder."""
    params = load_params(Path(__file__).parent.parent / "params.yaml")
    with tempfile.TemporaryDirectory() as temporary:
        raw, prepared = Path(temporary) / "raw", Path(temporary) / "prepared"
        raw.mkdir()
        prepared.mkdir()
        assert photos.PHOTOS.download is not None
        photos.PHOTOS.download(raw, params.data)
        with Containers(raw) as containers:
            table, _ = manifest.build(containers, photos.PHOTOS.images(raw, params.data))
            preparation.fill(prepared, containers, table, params.prepare, Asked.of(params), "")
        yield params, PatchStore.open(prepared)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print(f"| {' | '.join(head)} |")
    print(f"|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |", flush=True)


def megapixels_a_second(denoiser: Denoiser, side: int) -> float:
    """How fast a model denoises a square image of 8 bits; the median of three times."""
    pixels = generator(0, "speed").integers(0, 256, (side, side, denoiser.channels), dtype=np.uint8)
    denoiser.image(pixels[:512, :512])
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        denoiser.image(pixels)
        seconds.append(time.perf_counter() - began)
    return side**2 / 1e6 / median(seconds)
