"""A small prepared store, and a table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from degrain.datasets import manifest, photos
from degrain.images import preparation
from degrain.images.store import PatchStore
from degrain.params import Params, load_params


@contextmanager
def quickstart() -> Iterator[tuple[Params, PatchStore]]:
    """The quickstart study with its patches prepared in a temporary folder."""
    params = load_params(Path(__file__).parent.parent / "params.yaml")
    with tempfile.TemporaryDirectory() as temporary:
        raw, prepared = Path(temporary) / "raw", Path(temporary) / "prepared"
        photos.download(raw)
        prepared.mkdir()
        preparation.fill(prepared, raw, manifest.build(raw, photos.images(raw)), params.prepare)
        yield params, PatchStore.open(prepared)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print(f"| {' | '.join(head)} |")
    print(f"|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |", flush=True)
