"""What validate leaves beside the manifest: validation.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from degrain import files
from degrain.artifacts.base import Part, Record
from degrain.artifacts.code import Code
from degrain.declaration import deciding
from degrain.params.data import DataParams, ValidateParams

if TYPE_CHECKING:
    from degrain.params.study import Params

VALIDATION = "validation.json"


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


class Asked(Part):
    """What a study asks of its images.

    Attributes:
        data: The section `data`: which images.
        validation: The section `validate`: what they must be like.
    """

    data: DataParams
    validation: ValidateParams

    @classmethod
    def of(cls, params: Params) -> Self:
        """Return what a study asks."""
        return cls(data=params.data, validation=params.validation)

    def differences(self, params: Params) -> list[str]:
        """Return the names of the deciding parameters that a study has of another value, sorted."""
        sections = {"data": (self.data, params.data), "validate": (self.validation, params.validation)}
        return sorted(
            f"{section}.{name}"
            for section, (mine, its) in sections.items()
            for name in deciding(type(mine))
            if getattr(mine, name) != getattr(its, name)
        )


def run_name(asked: Asked, code: Code, files_sha256: str) -> str:
    """Return the name of a validation in its Data Docs, 16 hexadecimal digits: a digest of what was validated and how.

    Args:
        asked, code, files_sha256: See `Validation`.
    """
    made_of = {"asked": asked.model_dump(mode="json"), "code": code.sha256, "files": files_sha256}
    return files.digest(made_of)[:16]


class Validation(Record):
    """What validation.json holds.

    Attributes:
        asked: Of these images by the study that they were validated for.
        code: What made and judged the manifest.
        files_sha256: Digest of the files that they were read from, see `degrain.artifacts.source`.
        images: Rows of the manifest.
        published: Images of the whole data set, those that the study does not use included.
        quarantined: Paths of the images that are set aside.
        expectations: All of them.
        near_copies: Pairs that show the same picture, the least alike first, a thousand at most.
        pictures_sha256: Digest of the pictures of the first of them, see `degrain.files.tree_digest`.
        manifest_sha256: SHA-256 of the manifest that was validated.
    """

    STAGE: ClassVar[str] = "validate"
    VERSION: ClassVar[int] = 4

    asked: Asked
    code: Code
    files_sha256: str
    images: int
    published: int
    quarantined: list[str]
    expectations: list[Expectation]
    near_copies: list[NearCopies]
    pictures_sha256: str
    manifest_sha256: str
