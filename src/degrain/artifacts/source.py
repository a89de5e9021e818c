"""What download leaves beside the files of a data set: source.json."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from degrain import files
from degrain.artifacts.base import Part, Record
from degrain.errors import DataError
from degrain.params.data import DataParams

SOURCE = "source.json"


class AskedFiles(Part):
    """What of a study decides which files are downloaded; the download stage of dvc.yaml has the same parameters.

    Attributes:
        dataset, path: Of the section `data`.
    """

    dataset: str
    path: str

    @classmethod
    def of(cls, params: DataParams) -> Self:
        """Return what a study asks for."""
        return cls.model_validate(params.model_dump(include=set(cls.model_fields)))

    def differences(self, params: DataParams) -> list[str]:
        """Return the names of the parameters that a study has of another value, sorted."""
        return sorted(
            f"data.{name}" for name in AskedFiles.model_fields if getattr(self, name) != getattr(params, name)
        )


class RawFile(Part):
    """A file of a data set.

    Attributes:
        file: Its path in the folder of the data set.
        bytes: Its size.
        sha256: SHA-256 of its bytes, in hexadecimal.
        origin: Where it came from: an address, or a folder without what only one machine knows.
        credit, licence: Whose it is, where the files of a data set differ in that.
    """

    file: str
    bytes: int
    sha256: str
    origin: str
    credit: str = ""
    licence: str = ""


class Source(Record):
    """What source.json holds.

    It names no code: which bytes a download leaves is decided by what is published, and that is recorded.

    Attributes:
        asked: What it was downloaded for.
        published: SHA-256 of each file, by its name, as the catalog pinned them then; None where it does not.
        title, origin, licence, citation: Of the data set, as in the catalog.
        files: All files of the folder but this one.
    """

    STAGE: ClassVar[str] = "download"
    VERSION: ClassVar[int] = 1

    asked: AskedFiles
    published: dict[str, str | None]
    title: str
    origin: str
    licence: str
    citation: str
    files: list[RawFile]

    @property
    def files_sha256(self) -> str:
        """Digest of the files, by their names and bytes; it does not matter where they came from."""
        return files.digest({file.file: file.sha256 for file in self.files})

    @classmethod
    def of_study(cls, folder: Path, params: DataParams) -> Self:
        """Read the record of a data set that a study asks for.

        Args:
            folder: Of the data set.
            params: The section `data` of the study.

        Raises:
            VersionMismatch: As `read`.
            DataError: As `read`, or the study asks for other files.
        """
        record = cls.read(folder / SOURCE)
        if other := record.asked.differences(params):
            raise DataError(
                f"{folder} was downloaded for another {' and '.join(other)} than the study asks for; {cls.again()}"
            )
        return record
