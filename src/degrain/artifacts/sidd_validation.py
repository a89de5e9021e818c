"""What `degrain sidd-validation --json` writes of a network."""

from __future__ import annotations

from typing import ClassVar

from degrain.artifacts.base import Part, Record


class BlockScores(Part):
    """What a network makes of the validation blocks of SIDD.

    Attributes:
        blocks: How many there are.
        noisy: Mean over the blocks as they are, by each metric of `degrain.metrics.catalog`.
        denoised: The same over what the network makes of them.
    """

    blocks: int
    noisy: dict[str, float]
    denoised: dict[str, float]


class SiddValidation(Record):
    """What the file holds.

    Attributes:
        model: Name of the trial, or of the network where there is none.
        weights_sha256: SHA-256 of the trial's weights file.
        scores: What was measured.
    """

    WHAT: ClassVar[str] = "record of scores on the validation blocks of SIDD"
    COMMAND: ClassVar[str] = "degrain sidd-validation --json FILE"
    VERSION: ClassVar[int] = 1

    model: str
    weights_sha256: str | None
    scores: BlockScores
