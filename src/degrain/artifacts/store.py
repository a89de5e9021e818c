"""What prepare leaves beside the arrays of the patch store: store.json."""

from __future__ import annotations

from typing import ClassVar

from degrain.artifacts.base import Record
from degrain.artifacts.validation import Asked
from degrain.params.prepare import PrepareParams
from degrain.pixels import Light

STORE = "store.json"


class StoreRecord(Record):
    """What store.json holds.

    Attributes:
        params: The section `prepare` of the study that it was made for.
        asked: Of its images by that study.
        manifest_sha256: SHA-256 of the manifest that it was made of.
        channels: 1, 3, or 4 for a packed Bayer mosaic.
        light: What values stand for.
        counts: Samples of each split.
        leaks: Columns with values on two sides, and how many, where the study asked for a leaky split.
        sha256: Digest of everything that training and evaluation read.
    """

    STAGE: ClassVar[str] = "prepare"
    VERSION: ClassVar[int] = 3

    params: PrepareParams
    asked: Asked
    manifest_sha256: str
    channels: int
    light: Light
    counts: dict[str, int]
    leaks: dict[str, int]
    sha256: str
