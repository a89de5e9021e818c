"""What all records have in common."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from degrain import files
from degrain.errors import DataError, VersionMismatch

# The field of a file that holds the digest of all the others.
CHECKSUM = "checksum"


class Part(BaseModel):
    """A part of a record."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Record(Part):
    """A JSON file that a stage or a command leaves.

    Attributes:
        STAGE: The stage that leaves it.
        COMMAND: The command that leaves it, where no stage does.
        VERSION: The schema version of its fields.
        SEALED: Whether the file has a checksum; one that people's tools show as it is has none.
        schema_version: That of the file; files of another version are refused.
    """

    STAGE: ClassVar[str] = ""
    COMMAND: ClassVar[str] = ""
    VERSION: ClassVar[int]
    SEALED: ClassVar[bool] = True

    schema_version: int

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record.

        Raises:
            VersionMismatch: It has another schema version; the text says what to run.
            DataError: It is missing, damaged, or was changed after it was written; the text says what to run.
        """
        if not path.exists():
            raise DataError(f"{path} is missing; {cls.again()}")
        again = cls.again("-f -s")
        content = files.read_json(path, again)
        if not isinstance(content, dict):
            raise DataError(f"{path} is damaged (it holds no JSON object); {again}")
        version = content.get("schema_version")
        if type(version) is not int or version != cls.VERSION:
            found = "no schema version" if version is None else f"schema version {version}"
            raise VersionMismatch(f"{path} has {found}, and {cls.VERSION} is needed; {again}")
        if cls.SEALED:
            if CHECKSUM not in content:
                raise VersionMismatch(f"{path} has no checksum, and one is needed; {again}")
            checksum = content.pop(CHECKSUM)
            if checksum != files.digest(content):
                raise DataError(f"{path} is damaged (its checksum is another); {again}")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise DataError(f"{path} is damaged ({explain(error)}); {again}") from error

    @classmethod
    def again(cls, option: str = "") -> str:
        """Say how to make it again; with `-f -s`, even where DVC takes it for up to date.

        `-s` because `-f` alone forces every stage before it, too.
        """
        return f"run: {cls.COMMAND or ' '.join(filter(None, ('dvc repro', option, cls.STAGE)))}"

    def write(self, path: Path) -> None:
        """Write the record, atomically."""
        content = self.model_dump(mode="json")
        files.write_json(path, seal(content) if self.SEALED else content)


def seal(content: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what the file of a record holds: its fields, and their checksum."""
    return content | {CHECKSUM: files.digest(content)}


def explain(error: ValidationError) -> str:
    """Return the first thing that is wrong with a record, in a few words."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg'].lower()}" if where else first["msg"].lower()
