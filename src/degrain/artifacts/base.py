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
        WHAT: What people call it, as in "record of a trial"; by default the record of its stage.
        STAGE: The stage that leaves it.
        COMMAND: The command that leaves it, where no stage does.
        VERSION: The schema version of its fields.
        SEALED: Whether the file has a checksum; one that people's tools show as it is has none.
        schema_version: That of the file; files of another version are refused.
    """

    WHAT: ClassVar[str] = ""
    STAGE: ClassVar[str] = ""
    COMMAND: ClassVar[str] = ""
    VERSION: ClassVar[int]
    SEALED: ClassVar[bool] = True

    schema_version: int

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record.

        Raises:
            VersionMismatch: It has an older or a newer schema version; the text says which, and what to run.
            DataError: It is missing, is no such record, is damaged, or was changed after it was written; the text says
                what to run.
        """
        if not path.exists():
            raise DataError(f"{path} is missing; {cls.again()}")
        again = cls.again("-f -s")
        content = files.read_json(path, again)
        if not isinstance(content, dict):
            raise DataError(f"{path} is damaged (it holds no JSON object); {again}")
        cls._check_version(path, content.get("schema_version"), again)
        if cls.SEALED:
            if CHECKSUM not in content:
                raise DataError(f"{path} is damaged (it has no checksum); {again}")
            checksum = content.pop(CHECKSUM)
            if checksum != files.digest(content):
                raise DataError(f"{path} is damaged (its checksum is another); {again}")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise DataError(f"{path} is damaged ({explain(error)}); {again}") from error

    @classmethod
    def _check_version(cls, path: Path, version: object, again: str) -> None:
        """Refuse a file whose fields may mean something else, or which has none.

        Raises:
            VersionMismatch: It is of an older or a newer version.
            DataError: It has no version, or what is none.
        """
        if version is None:
            raise DataError(f"{path} is no {cls.what()}: it has no schema version; {again}")
        if type(version) is not int or version < 1:
            raise DataError(f"{path} is damaged (its schema version is {str(version)[:80]!r}); {again}")
        if version < cls.VERSION:
            raise VersionMismatch(
                f"{path} has schema version {version}, which is older than {cls.VERSION}, the one that is read; {again}"
            )
        if version > cls.VERSION:
            raise VersionMismatch(
                f"{path} has schema version {version}, which is newer than {cls.VERSION}, the one that is read: a "
                f"newer degrain wrote it; update degrain, or {again}"
            )

    @classmethod
    def what(cls) -> str:
        """Return what people call it."""
        return cls.WHAT or f"record of {cls.STAGE}"

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
