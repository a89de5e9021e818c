"""What prepare leaves beside the arrays of the patch store: store.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from degrain.artifacts.base import Record
from degrain.artifacts.code import Code
from degrain.artifacts.validation import Asked
from degrain.params.prepare import PrepareParams
from degrain.pixels import Light

if TYPE_CHECKING:
    from degrain.params.study import Params

STORE = "store.json"


class StoreRecord(Record):
    """What store.json holds.

    Attributes:
        params: The section `prepare` of the study that it was made for.
        asked: Of its images by that study.
        code: What made it.
        manifest_sha256: SHA-256 of the manifest that it was made of.
        channels: 1, 3, or 4 for a packed Bayer mosaic.
        light: What values stand for.
        counts: Samples of each split.
        leaks: Columns with values on two sides, and how many, where the study asked for a leaky split.
        sha256: Digest of everything that training and evaluation read.
    """

    STAGE: ClassVar[str] = "prepare"
    VERSION: ClassVar[int] = 6

    params: PrepareParams
    asked: Asked
    code: Code
    manifest_sha256: str
    channels: int
    light: Light
    counts: dict[str, int]
    leaks: dict[str, int]
    sha256: str

    def differences(self, params: Params) -> list[str]:
        """Return the names of the parameters that a study has of another value, sorted."""
        mine, its = self.params, params.prepare
        other = {f"prepare.{name}" for name in PrepareParams.model_fields if getattr(mine, name) != getattr(its, name)}
        return sorted({*self.asked.differences(params), *other})
