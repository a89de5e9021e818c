"""What validate leaves beside the manifest: validation.json."""

from __future__ import annotations

from typing import ClassVar

from degrain.artifacts.base import Part, Record


class Expectation(Part):
    """What came of one expectation.

    Attributes:
        name: See `degrain.ingest.datasets.expectations`.
        text: What is expected.
        success: Whether it holds.
        groups: Whether it is about groups of images, not about single ones.
        images: What does not hold it: images, or groups.
    """

    name: str
    text: str
    success: bool
    groups: bool
    images: list[str]


class NearCopies(Part):
    """Two images that show the same picture.

    Attributes:
        first, second: Their paths.
        correlation: Of their luminance at low resolution.
        mirrored: Whether one is mirrored.
    """

    first: str
    second: str
    correlation: float
    mirrored: bool


class Validation(Record):
    """What validation.json holds.

    Attributes:
        images: Rows of the manifest.
        published: Images of the whole data set, those that the study does not use included.
        quarantined: Paths of the images that are set aside.
        expectations: All of them.
        near_copies: Pairs that show the same picture, the least alike first, a thousand at most.
        pictures_sha256: Digest of the pictures of the first of them, see `degrain.files.tree_digest`.
        manifest_sha256: SHA-256 of the manifest that was validated.
    """

    STAGE: ClassVar[str] = "validate"
    VERSION: ClassVar[int] = 2

    images: int
    published: int
    quarantined: list[str]
    expectations: list[Expectation]
    near_copies: list[NearCopies]
    pictures_sha256: str
    manifest_sha256: str
