"""What all records have in common."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from degrain import files
from degrain.errors import DataError, VersionMismatch


class Part(BaseModel):
    """A part of a record."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Record(Part):
    """A JSON file that a stage leaves.

    Attributes:
        schema_version: Of the record's fields; files of another version are refused.
    """

    STAGE: ClassVar[str]
    VERSION: ClassVar[int]

    schema_version: int

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record.

        Raises:
            VersionMismatch: It has another schema version; the text names the stage to run.
            DataError: It is missing or damaged; the text names the stage to run.
        """
        content = read_object(path, cls.STAGE)
        version = content.get("schema_version")
        if version != cls.VERSION:
            found = "no schema version" if version is None else f"schema version {version}"
            raise VersionMismatch(f"{path} has {found}, and {cls.VERSION} is needed; run: dvc repro -f {cls.STAGE}")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise DataError(f"{path} is damaged ({explain(error)}); run: dvc repro -f {cls.STAGE}") from error

    def write(self, path: Path) -> None:
        """Write the record, atomically."""
        files.write_json(path, self.model_dump(mode="json"))


def read_object(path: Path, stage: str) -> dict[str, object]:
    """Read a JSON object that a stage left.

    Raises:
        DataError: The file is missing or damaged, or holds no JSON object; the text names the stage to run.
    """
    if not path.exists():
        raise DataError(f"{path} is missing; run: dvc repro {stage}")
    try:
        content = files.read_json(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is damaged (it holds no JSON object); run: dvc repro -f {stage}")
    return content


def explain(error: ValidationError) -> str:
    """Return the first thing that is wrong with a record, in a few words."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg'].lower()}" if where else first["msg"].lower()
